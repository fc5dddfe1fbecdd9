/** The cluster's certificate authority: who is a member, how one becomes it, how it stays one. */
export { trustErrors } from './errors.ts';
