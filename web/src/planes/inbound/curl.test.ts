import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { curl, howLong, quoted, signedRequest } from './curl.ts';

const sending = {
  url: 'https://ops.test/hooks/stripe',
  file: 'e.bin',
  kind: 'stripe',
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
      `# What signs is more than the body: the lines of "Signed request" below make it with custodes and send it.
curl -X POST 'https://ops.test/hooks/stripe'`,
      "-H 'content-type: application/json'",
      '-H "authorization: $AUTHORIZATION"',
      '-H "stripe-signature: $SIGNATURE"',
      "--data-binary '@e.bin'",
    ].join(' \\\n  '),
  );
});

it('the lines that sign hold no secret and cannot be broken out of', () => {
  const text = signedRequest({ ...sending, type: 'a"\nPY\nrm', id: 'evt_1' });

  expect(text).toContain('event_type="a\\"\\nPY\\nrm"');
  expect(text.split('\n').filter((line) => line === 'PY')).toHaveLength(1);
});

it('says how long a recorded signature holds, by what its sender signs', () => {
  const of = (kind: string, ...names: string[]) =>
    howLong(
      kind,
      kind,
      names.map((name) => ({ name, value: 'x' })),
    );

  for (const kind of ['stripe', 'svix', 'clerk', 'standard-webhooks', 'slack', 'zendesk'])
    expect(of(kind)).toContain('for minutes only');
  for (const kind of ['github', 'shopify']) expect(of(kind)).toContain('until its secret is changed');
  expect(of('gitlab', 'webhook-signature')).toContain('for minutes only');
  expect(of('gitlab', 'x-gitlab-token')).toContain('signs nothing');
  expect(of('square')).toContain('for that URL');
  expect(of('hmac')).toContain('depends');
});

/** What a shell makes of the lines; curl only says what it was given. */
function ran(text: string, secret: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'curl-'));
  writeFileSync(join(folder, 'e.bin'), '{"a":1}');
  const script = `curl() { printf '%s\\n' "$@"; }\n${text}`;
  return execFileSync('bash', ['-c', script], { cwd: folder, input: `${secret}\n`, encoding: 'utf8' });
}

it('a plain HMAC of the body is made by the lines themselves', () => {
  const github = [
    { name: 'x-hub-signature', value: '[redacted]' },
    { name: 'x-hub-signature-256', value: 'sha256=00' },
  ];
  const shopify = [
    { name: 'x-shopify-webhook-id', value: 'w1' },
    { name: 'x-shopify-hmac-sha256', value: 'old' },
  ];
  const mac = (as: 'hex' | 'base64') => createHmac('sha256', 's3').update('{"a":1}').digest(as);

  const one = ran(curl({ ...sending, kind: 'github', headers: github }), 's3');
  const other = ran(curl({ ...sending, kind: 'shopify', headers: shopify }), 's3');

  expect(one).toContain(`x-hub-signature-256: sha256=${mac('hex')}\n`);
  expect(one).not.toContain('x-hub-signature:');
  expect(other).toContain(`x-shopify-hmac-sha256: ${mac('base64')}\n`);
  expect(other).toContain('x-shopify-webhook-id: w1\n');
});
