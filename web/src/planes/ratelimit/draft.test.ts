import { describe, expect, it } from 'vitest';
import { draftOf, draftOfRule, ruleOf, searchOf } from './draft.ts';

describe('a draft', () => {
  it('is the same after a way through the URL', () => {
    const draft = {
      limits: '5/minute; 100/day',
      by: 'ip+user',
      route: '/a/{id}',
      methods: 'POST, PUT',
      shadow: 'yes',
    } as const;
    expect(draftOf({ ...searchOf(draft) })).toEqual(draft);
  });
  it('becomes the rule that the API takes', () => {
    expect(ruleOf({ limits: ' 5/minute ', methods: 'post, , get', cost: 'x' })).toEqual({
      name: '',
      limits: '5/minute',
      by: 'ip',
      route: '*',
      methods: ['POST', 'GET'],
      exempt: [],
      cost: 1,
    });
  });
  it('is made of a rule that is there', () => {
    const limits = ['5/minute', '9/day'].map((text) => ({
      text,
      algorithm: 'log',
      worst_case_factor: 1,
      lateness_seconds: 0,
    }));
    const rule = { name: 'login', limits, by: 'ip', route: '/login', methods: ['POST'], exempt: [], cost: null };
    const rest = {
      id: 'x',
      source: 'api',
      tenant: null,
      shadow: false,
      enabled: true,
      overruled: false,
      on_failure: null,
      lease: 20,
      over_admission: 19,
      version: 1,
      updated_at: null,
      actor: '',
    };
    expect(draftOfRule({ ...rule, ...rest }).lease).toBe('20');
    expect(ruleOf(draftOfRule({ ...rule, ...rest }))).toMatchObject({
      name: 'login',
      limits: '5/minute; 9/day',
      methods: ['POST'],
    });
  });
});
