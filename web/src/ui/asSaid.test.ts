import { expect, it } from 'vitest';
import { asSaid } from './asSaid.ts';

it.each([
  ['shop.handlers.<locals>.paid', 'paid'],
  ['shop.paid', 'shop.paid'],
  ['a.<locals>.b.<locals>.paid: KeyError: 7; shop.mail: OSError: away', 'paid: KeyError: 7; shop.mail: OSError: away'],
  ['', ''],
])('a function is called as one says it: %s', (name, said) => {
  expect(asSaid(name)).toBe(said);
});

it('what strangers write takes no time', () => {
  const long = 'w'.repeat(200_000);
  expect(asSaid(`${long} <locals> ${long}`)).toBe(`${long} <locals> ${long}`);
}, 60_000); // what was quadratic took minutes
