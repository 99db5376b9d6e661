import { Link, useSearch } from '@tanstack/react-router';
import type { ViewSearch } from '../view/search.ts';
import { type Incident, placeOf, told } from './incidents.ts';

interface IncidentTitleProps {
  incident: Incident;
  className?: string | undefined;
  onOpen?: () => void;
}

/** What an alert is called; it leads to where its cause is looked into, in the range that one looks at. */
export function IncidentTitle({ incident, className, onOpen }: IncidentTitleProps) {
  const { from, to: until, tz }: ViewSearch = useSearch({ strict: false });
  const { title } = told(incident);
  const place = placeOf(incident);
  if (!place) return <span className={className}>{title}</span>;
  const search = { from, to: until, tz, ...place.search };
  return (
    <Link to={place.to} search={search as never} className={className} onClick={() => onOpen?.()}>
      {title}
    </Link>
  );
}
