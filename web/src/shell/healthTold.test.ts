import { expect, it } from 'vitest';
import type { Happening } from '../live/source.ts';
import { healthTold } from './healthTold.ts';

function change(system: string, state: 'healthy' | 'degraded' | 'unhealthy'): Happening {
  return { reference: `system:${system}`, title: `${system} is ${state}`, kind: `system.${state}`, outcome: state === 'healthy' ? 'success' : 'failure' } as Happening; // biome-ignore format: one line
}

it('one notice tells of all systems, the latest first, each as it is now', () => {
  const told = healthTold([change('api', 'degraded'), change('storage', 'unhealthy'), change('api', 'healthy')]);

  expect(told).toEqual({
    title: 'Health has changed 3 times',
    message: 'api is healthy\nstorage is unhealthy',
    well: false,
    color: 'red',
  });
});

it('one that comes and goes makes no long list', () => {
  const many = ['a', 'b', 'c', 'd', 'e'].map((system) => change(system, 'degraded'));

  expect(healthTold(many).message).toBe('e is degraded\nd is degraded\nc is degraded\nand 2 more');
  expect(healthTold([change('api', 'healthy')])).toMatchObject({ title: 'Health has changed', color: 'teal' });
});
