import { expect, it } from 'vitest';
import { chosen, differences } from './comparison.ts';

it('says what differs, and what is the same', () => {
  const first = { Answer: '503', Error: 'away', 'Sent to': 'https://a.test' };
  const second = { Answer: '200', 'Sent to': 'https://a.test', Took: '3 ms' };

  expect(differences(first, second)).toEqual({
    changes: [
      { path: 'Answer', before: '503', after: '200' },
      { path: 'Error', before: 'away', after: undefined },
      { path: 'Took', before: undefined, after: '3 ms' },
    ],
    same: ['Sent to'],
  });
});

it('compares those that are named, else the last two', () => {
  expect(chosen(['1', '2', '3'], [])).toEqual(['2', '3']);
  expect(chosen(['1', '2', '3'], ['1', '2'])).toEqual(['1', '2']);
  expect(chosen(['1', '2', '3'], ['9', '1'])).toEqual(['2', '1']);
  expect(chosen(['1'], ['1', '1'])).toBeNull();
});
