/**
 * From whatever was thrown to what the caller is told: a code, a status and a message in the words of the request's protocol
 * family. What nobody foresaw is told as InternalFailure and no more: its message may hold what the caller must not see.
 */
import type { StaticErrorSchema } from '@smithy/types';
import type { Family, Members, WireError } from './codecs/codec.ts';
import { normalized } from './codecs/schema.ts';
import { AwsError, Failure, toldAs } from './failures.ts';
import type { Service } from './service.ts';

/** AWS's own words. */
const INTERNAL = 'The request processing has failed because of an unknown error, exception or failure.';

export interface ToldError extends WireError {
  /** Whether the log must say what it was. */
  readonly unforeseen: boolean;
}

interface ServiceException extends Error {
  readonly $fault: 'client' | 'server';
}

interface ErrorTraits {
  readonly error?: 'client' | 'server';
  readonly httpError?: number;
  readonly awsQueryError?: readonly [code: string, status: number];
}

export function toldError(error: unknown, service: Service | undefined, family: Family): ToldError {
  if (error instanceof Failure)
    return { ...toldAs(error.kind, family), message: error.message, unforeseen: error.kind === 'internal' };
  if (error instanceof AwsError)
    return { code: error.code, status: error.status, message: error.message, unforeseen: false };
  if (isServiceException(error)) return modelled(error, service?.errors.get(error.name), family);
  return { ...toldAs('internal', family), message: INTERNAL, unforeseen: true };
}

function modelled(error: ServiceException, schema: StaticErrorSchema | undefined, family: Family): ToldError {
  const traits = schema ? (normalized(schema).getMergedTraits() as ErrorTraits) : {};
  const [queryCode, queryStatus] = (family === 'query' && traits.awsQueryError) || [];
  const status = queryStatus ?? traits.httpError ?? ((traits.error ?? error.$fault) === 'server' ? 500 : 400);
  const told = { code: queryCode ?? error.name, status, message: error.message, unforeseen: false };
  return schema ? { ...told, schema, members: error as unknown as Members } : told;
}

function isServiceException(error: unknown): error is ServiceException {
  return error instanceof Error && '$fault' in error;
}
