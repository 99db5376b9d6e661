import { expect, it } from 'vitest';
import { csv, json, ndjson } from './download.ts';

it('quotes what has to be, and lets no cell become a formula', () => {
  const rows = [
    ['a,b', 'say "hi"', '=1+1', 5],
    [null, 'x\ny', '-2', true],
  ];
  expect(csv(['a', 'b', 'c', 'd'], rows)).toBe('a,b,c,d\r\n"a,b","say ""hi""",\'=1+1,5\r\n,"x\ny",\'-2,true\r\n');
});

it('names the fields of each row', () => {
  expect(JSON.parse(json(['a', 'b'], [['x', null]]))).toEqual([{ a: 'x', b: null }]);
});

it('writes one object a line', () => {
  expect(
    ndjson(
      ['a', 'b'],
      [
        ['x', null],
        ['y\nz', 2],
      ],
    ),
  ).toBe('{"a":"x","b":null}\n{"a":"y\\nz","b":2}\n');
});
