/** The pages, loaded together: one more file to name costs the first load more than it saves here. */
export { AlertPage } from './AlertPage.tsx';
export { Notifications } from './Notifications.tsx';
export { RulePage } from './RulePage.tsx';
export { Rules } from './Rules.tsx';
