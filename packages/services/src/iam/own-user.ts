/** Whom an operation means that names no user: whoever calls. */
import { callerOf } from './caller.ts';
import type { IamContext } from './iam-context.ts';
import { iamFailures } from './iam-failures.ts';

/** @throws ValidationError where no user calls */
export async function userNameOr(context: IamContext, name: string | undefined): Promise<string> {
  if (name !== undefined) return name;
  const caller = await callerOf(context.store, context.credential, context.clock.wallMs());
  if (caller?.kind === 'users') return caller.holder.name;
  throw iamFailures.validation('Must specify userName when calling with non-User credentials');
}
