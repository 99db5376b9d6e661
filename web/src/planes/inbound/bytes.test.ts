import { describe, expect, it } from 'vitest';
import { decoded, lineStarts, looksLikeJson, parsed, TREE } from './bytes.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);

function lines(text: string): string[] {
  const starts = lineStarts(text);
  return starts.slice(1).map((end, at) => text.slice(starts[at], end));
}

describe('text', () => {
  it('nothing of it is lost in lines, however long or broken it is', () => {
    for (const text of ['', 'a', 'a\nb\n', '\n\n', 'x'.repeat(1_000), `${'é'.repeat(500)}\n${'𝒳'.repeat(500)}`]) {
      expect(lines(text).join('')).toBe(text);
    }
  });

  it('a character is never cut in two', () => {
    for (const line of lines(`a${'𝒳'.repeat(300)}`)) expect(line).not.toMatch(/[\ud800-\udbff]$/);
  });

  it('what is no UTF-8 is shown and said', () => {
    expect(decoded(new Uint8Array([0x61, 0xff]))).toEqual({ text: 'a\ufffd', exact: false });
    expect(decoded(utf8('é'))).toEqual({ text: 'é', exact: true });
  });
});

describe('JSON', () => {
  it('is parsed, and what is none is said', () => {
    expect(parsed(utf8('{"a":[1]}'))).toEqual({ value: { a: [1] } });
    expect(parsed(utf8('a=1&b=2'))).toEqual({ fault: 'no-json' });
  });

  it('is read out of a form that holds nothing else', () => {
    expect(parsed(utf8('payload=%7B%22a%22%3A%22Zo%C3%AB+%2B1%22%7D'))).toEqual({ value: { a: 'Zoë +1' } });
    for (const hostile of [
      'payload=%7B%7D&x=1',
      'payload=%7B%7D;',
      'payload=%7',
      'payload=',
      'payload=%FF',
      'payload={}\n',
    ]) {
      expect(parsed(utf8(hostile))).toEqual({ fault: 'no-json' });
    }
    expect(looksLikeJson(utf8('payload=%7B%7D'))).toBe(true);
    expect(looksLikeJson(utf8('payload'))).toBe(false);
  });

  it('beyond the bound it is not even tried', () => {
    expect(parsed(new Uint8Array(TREE + 1))).toEqual({ fault: 'large' });
  });
});
