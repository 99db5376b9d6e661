import { expect, test } from 'vitest';
import { short, taken } from './traceback.ts';

const PLAIN = `Traceback (most recent call last):
  File "/srv/.venv/lib/python3.12/site-packages/starlette/routing.py", line 683, in app
    await route.handle(scope)
          ^^^^^^^^^^^^^^^^^^^
  File "/srv/shop/orders.py", line 12, in refund
    return pay(order)
  File "/srv/shop/money.py", line 7, in pay
    return known[order]
           ~~~~~^^^^^^^
  File "/usr/lib/python3.12/collections/__init__.py", line 1, in __missing__
    raise KeyError(key)
KeyError: 767
`;

test('the frames of the app are told from those of libraries, what raised it first', () => {
  const [one, ...others] = taken(PLAIN);
  expect(others).toEqual([]);
  expect(one?.message).toBe('KeyError: 767');
  expect(one?.frames.map((frame) => [frame.name, frame.own])).toEqual([
    ['__missing__', false],
    ['pay', true],
    ['refund', true],
    ['app', false],
  ]);
  expect(one?.frames[1]).toMatchObject({ file: '/srv/shop/money.py', line: 7, code: 'return known[order]' });
});

test('what led to an exception stands after it, and a message keeps its lines', () => {
  const text = `Traceback (most recent call last):
  File "/srv/a.py", line 1, in a
    b()
ValueError: two
lines

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/srv/c.py", line 2, in c
    raise Odd from error
shop.Odd: no
`;
  expect(taken(text).map((one) => [one.message, one.frames[0]?.name])).toEqual([
    ['shop.Odd: no', 'c'],
    ['ValueError: two\nlines', 'a'],
  ]);
});

test('where there are frames of libraries only, all of them count', () => {
  const text =
    'Traceback (most recent call last):\n  File "/x/site-packages/a.py", line 1, in a\n    b()\nOSError: x\n';
  expect(taken(text)[0]?.frames).toEqual([
    { file: '/x/site-packages/a.py', line: 1, name: 'a', code: 'b()', own: true },
  ]);
});

test('frames are found in groups of exceptions, and text that is no traceback is its own message', () => {
  const group = `  + Exception Group Traceback (most recent call last):
  |   File "/srv/a.py", line 1, in a
  |     b()
  | ExceptionGroup: many (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/srv/b.py", line 2, in b
    |     c()
    | ValueError: 1
    +------------------------------------
`;
  expect(taken(group)[0]?.frames.map((frame) => frame.name)).toEqual(['b', 'a']);
  expect(taken('MemoryError')).toEqual([{ message: 'MemoryError', frames: [] }]);
  expect(taken('')).toEqual([]);
});

test('a file is told by the end of its path', () => {
  expect(short('/srv/shop/money.py')).toBe('shop/money.py');
  expect(short('C:\\shop\\money.py')).toBe('shop/money.py');
});
