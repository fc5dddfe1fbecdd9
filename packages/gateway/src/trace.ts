/** A call as it arrived, and what each step has found out about it: what the audit is written from. */
import type { StaticOperationSchema } from '@smithy/types';
import type { Members } from './codecs/codec.ts';
import type { UsedSignature } from './identity.ts';
import type { AnyOperation } from './operation.ts';
import type { Service } from './service.ts';
import type { Scope } from './signature/scope.ts';
import type { Verified } from './signature/verify.ts';
import type { WireRequest } from './wire.ts';

export interface Arrival {
  readonly request: WireRequest;
  readonly requestId: string;
  readonly sourceAddress: string;
  readonly atMs: number;
  /** Aborted when the client is gone, the gateway closes, or the call has taken too long. */
  readonly abort: AbortController;
}

/** What is known of a call so far. */
export interface Trace {
  readonly arrival: Arrival;
  readonly claimed: Scope | undefined;
  verified?: Verified;
  service?: Service;
  /** As the request has it. */
  name?: string | undefined;
  operation?: StaticOperationSchema;
  handler?: AnyOperation;
  input?: Members;
  /** Where the call was let change something, and the signature had not before. */
  used?: UsedSignature;
}

export function userAgentOf(request: WireRequest): string {
  return (request.headers['user-agent'] ?? '').slice(0, 512);
}
