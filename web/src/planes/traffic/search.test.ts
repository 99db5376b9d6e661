import { describe, expect, it } from 'vitest';
import { callQuery, figureQuery, trafficSearch } from './search.ts';

describe('the URL of the tab', () => {
  it('keeps what it knows and leaves out what it cannot read', () => {
    const found = trafficSearch({ part: 'calls', status: 'five', min_ms: '250', route: '/items/{id}', order: 'size' });
    expect(found).toMatchObject({ part: 'calls', min_ms: '250', route: '/items/{id}' });
    expect(found.status).toBeUndefined();
    expect(found.order).toBeUndefined();
  });
});

describe('filters', () => {
  it('of calls go to the API with their types', () => {
    expect(callQuery({ trace: 'ab', status: '5', min_ms: '20', user: 'ann' })).toEqual({
      trace_id: 'ab',
      status: 5,
      min_ms: 20,
      user: 'ann',
    });
  });

  it('of figures are an endpoint or a consumer, and the rest is said', () => {
    expect(figureQuery({ user: 'ann', status: '5' })).toEqual({
      query: { user: 'ann' },
      consumer: true,
      beside: ['status'],
    });
    expect(figureQuery({ route: '/a', user: 'ann', tenant: 'acme' })).toEqual({
      query: { tenant: 'acme', route: '/a' },
      consumer: false,
      beside: ['user'],
    });
  });
});
