/** Every operation of STS that Rokka has, by the name that callers use. */
import type { CallContext } from '../call-context.ts';
import type { IamContext, IdentityServices } from '../iam/iam-context.ts';
import { assumeRole } from './assume-role.ts';
import { getCallerIdentity } from './get-caller-identity.ts';
import { getSessionToken } from './get-session-token.ts';

/** A table as `defineService` of the gateway takes it. */
export function stsHandlers(services: IdentityServices) {
  const bind =
    <I, O>(operation: (input: I, context: IamContext) => Promise<O>) =>
    (input: I, call: CallContext): Promise<O> =>
      operation(input, { ...call, ...services });
  return {
    AssumeRole: bind(assumeRole),
    GetCallerIdentity: bind(getCallerIdentity),
    GetSessionToken: bind(getSessionToken),
  };
}

/** What a call to STS is about, for whoever authorizes it. */
export function stsResource(operation: string, input: Readonly<Record<string, unknown>>): string {
  return operation === 'AssumeRole' && typeof input.RoleArn === 'string' ? input.RoleArn : '*';
}
