import { expect, it } from 'vitest';
import { curl, quoted, signedRequest } from './curl.ts';

const sending = {
  url: 'https://ops.test/hooks/stripe',
  file: 'e.bin',
  headers: [] as { name: string; value: string }[],
};

it('a header cannot leave its quotes', () => {
  const text = curl({ ...sending, headers: [{ name: 'x-note', value: "a'; rm -rf ~ #$(id)`id`" }] });

  expect(text).toContain(`-H 'x-note: a'\\''; rm -rf ~ #$(id)\`id\`'`);
  expect(quoted("it's")).toBe(`'it'\\''s'`);
});

it('secrets and signatures are placeholders, and what belongs to the connection is left out', () => {
  const headers = [
    { name: 'host', value: 'ops.test' },
    { name: 'content-type', value: 'application/json' },
    { name: 'authorization', value: '[redacted]' },
    { name: 'stripe-signature', value: 't=1,v1=abc' },
    { name: 'x-forwarded-for', value: '203.0.113.9' },
  ];

  expect(curl({ ...sending, headers })).toBe(
    [
      "curl -X POST 'https://ops.test/hooks/stripe'",
      "-H 'content-type: application/json'",
      '-H "authorization: $SIGNATURE"',
      '-H "stripe-signature: $SIGNATURE"',
      "--data-binary '@e.bin'",
    ].join(' \\\n  '),
  );
});

it('the lines that sign hold no secret and cannot be broken out of', () => {
  const text = signedRequest({ ...sending, kind: 'stripe', type: 'a"\nPY\nrm', id: 'evt_1' });

  expect(text).toContain('event_type="a\\"\\nPY\\nrm"');
  expect(text.split('\n').filter((line) => line === 'PY')).toHaveLength(1);
});
