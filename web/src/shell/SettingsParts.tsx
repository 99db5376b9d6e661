/** The parts of the settings: who may administer, what programs sign in with, and what is told to whom. */
import { SubTabs } from '../ui/SubTabs.tsx';
import { lasting } from '../view/search.ts';

const PARTS = [
  { id: 'users', label: 'Users' },
  { id: 'api-keys', label: 'API keys', to: '/settings/api-keys' },
  { id: 'alert-rules', label: 'Alert rules', to: '/settings/alert-rules' },
  { id: 'notifications', label: 'Notifications', to: '/settings/notifications' },
] as const;

export function SettingsParts({ current }: { current: (typeof PARTS)[number]['id'] }) {
  return (
    <SubTabs label="Parts of the settings" to="/settings" param="part" tabs={PARTS} current={current} keep={lasting} />
  );
}
