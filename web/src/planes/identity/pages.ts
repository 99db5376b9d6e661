/** The pages, loaded together: one more file to name costs the first load more than it saves here. */
export { ApiKeys } from './ApiKeys.tsx';
export { UserPage } from './UserPage.tsx';
export { Users } from './Users.tsx';
