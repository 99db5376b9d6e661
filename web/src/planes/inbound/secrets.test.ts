import { expect, test } from 'vitest';
import type { Source } from './model.ts';
import { secretsOf } from './secrets.ts';

const secret = (place: number, summary = '') =>
  ({ place, fingerprint: '0a1b2c3d', since: null, last_used: null, standing: 'quiet', summary }) as const;

const source = (name: string, ...secrets: Source['secrets']): Source => ({
  name,
  path: '',
  tenant: 'default',
  kind: name,
  scheme: '',
  max_body: 1,
  retries: true,
  secrets,
});

test('each secret says which of its source it is', () => {
  const found = secretsOf([
    source('stripe', secret(1), secret(2, 'Last signed 9 d ago: can be removed')),
    source('github', secret(1)),
    source('own'),
  ]);

  expect(found.map((one) => `${one.source} ${one.which}`)).toEqual([
    'stripe 1 of 2 (newest)',
    'stripe 2 of 2 (older)',
    'github 1 of 1',
  ]);
  expect(found[1]?.told).toBe('Secret 2 of 2 (older) of stripe: Last signed 9 d ago: can be removed');
});
