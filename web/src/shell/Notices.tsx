import { Notifications } from '@mantine/notifications';

/** Where it is told, at the edge of the page, what has become of an action, and what goes on elsewhere. */
export function Notices() {
  return <Notifications position="bottom-right" limit={4} />;
}
