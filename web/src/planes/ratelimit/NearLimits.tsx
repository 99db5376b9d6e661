/** Who has used 80 % of a limit or more, the fullest first. */
import { Link } from '@tanstack/react-router';
import { count, percent } from '../../time/format.ts';
import { Bars } from '../../ui/Bars.tsx';
import { IconCircleCheck } from '../../ui/icons.ts';
import { Message } from '../../ui/Message.tsx';
import { type Asked, Panel } from '../../ui/Panel.tsx';
import { KIND_NAMES, parted, type Summary } from './model.ts';
import style from './RateLimits.module.css';

export function NearLimits({ asked }: { asked: Asked & { data?: Summary } }) {
  const near = asked.data?.near_limits ?? [];
  return (
    <Panel
      title="Near a limit"
      note="80 % or more is used now, as the worker sees it that answers"
      of={asked}
      empty={near.length === 0}
      whenEmpty={<Message icon={<IconCircleCheck size={26} />} title="Nobody is near a limit" />}
    >
      <NearBars near={near} />
    </Panel>
  );
}

type Usages = Summary['near_limits'];

export function NearBars({ near }: { near: Usages }) {
  return (
    <Bars
      label="Who is near a limit"
      bars={near.map((usage) => {
        const [kind, identifier] = parted(usage.identifier);
        const used = usage.limit > 0 ? (usage.limit - usage.remaining) / usage.limit : 1;
        const rule = usage.rule.replace(/ \d+$/, '');
        return {
          id: `${usage.rule} ${usage.identifier}`,
          label: (
            <span className={style.who}>
              <span>{KIND_NAMES[kind] ?? kind}</span>
              <span>
                {identifier} ·{' '}
                <Link to="/rate-limits" search={((kept: object) => ({ ...kept, view: 'rules', open: rule })) as never}>
                  {usage.rule}
                </Link>
              </span>
            </span>
          ),
          value: used,
          shown: `${percent(used)}, ${count(usage.remaining)} of ${count(usage.limit)} left`,
          tone: usage.remaining === 0 ? 'bad' : 'warn',
        };
      })}
    />
  );
}
