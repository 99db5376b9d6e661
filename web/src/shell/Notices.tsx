import { Notifications } from '@mantine/notifications';
import './Notices.css';

/** Where it is told, at the edge of the page, what has become of an action, and what goes on elsewhere. */
export function Notices() {
  return <Notifications position="bottom-right" limit={3} />;
}
