import { Link } from '@tanstack/react-router';

/** Everything with the same trace id, across planes. */
export function TraceLink({ id }: { id: string }) {
  return (
    <Link to="/api" search={{ part: 'calls', trace: id } as never} className="mono">
      {id}
    </Link>
  );
}
