import { StatusBadge } from '../../ui/StatusBadge.tsx';
import { riskTone } from './model.ts';

/** A risk score in a table: only what stands out is marked. */
export function Risk({ score }: { score: number }) {
  const tone = riskTone(score);
  if (tone === 'plain') return <span className="figures">{score}</span>;
  return <StatusBadge state="risk" tone={tone} label={String(score)} />;
}
