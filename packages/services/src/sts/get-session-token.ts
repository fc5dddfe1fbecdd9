import type { GetSessionTokenCommandInput, GetSessionTokenCommandOutput } from '@aws-sdk/client-sts';
import { callerOf } from '../iam/caller.ts';
import type { IamContext, Output } from '../iam/iam-context.ts';
import { makeSession } from './sessions.ts';
import { stsFailures } from './sts-failures.ts';

const SECONDS_MIN = 900;
const SECONDS_MAX = 129_600;
const SECONDS_USUAL = 43_200;

/** Only for a user with a key of their own. @throws AccessDenied, ValidationError */
export async function getSessionToken(
  input: GetSessionTokenCommandInput,
  context: IamContext,
): Promise<Output<GetSessionTokenCommandOutput>> {
  const { DurationSeconds: seconds = SECONDS_USUAL } = input;
  if (!Number.isInteger(seconds) || seconds < SECONDS_MIN || seconds > SECONDS_MAX)
    throw stsFailures.validation(`DurationSeconds ${seconds} must be ${SECONDS_MIN} to ${SECONDS_MAX}`);
  if (input.TokenCode !== undefined || input.SerialNumber !== undefined)
    throw stsFailures.refused('MultiFactorAuthentication failed: no devices for it are kept here');
  const caller = await callerOf(context.store, context.credential, context.clock.wallMs());
  if (caller?.kind !== 'users' || caller.session)
    throw stsFailures.refused('Cannot call GetSessionToken with session credentials');
  const { name, id } = caller.holder;
  return { Credentials: await makeSession(context, { of: { kind: 'users', name, id }, seconds }) };
}
