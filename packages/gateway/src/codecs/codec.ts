/** What one AWS protocol can do here, and which of them a request speaks. */
import type { StaticErrorSchema, StaticOperationSchema } from '@smithy/types';
import type { Service } from '../service.ts';
import type { WireRequest, WireResponse } from '../wire.ts';

/** Protocols that name their errors alike. */
export type Family = 'query' | 'ec2' | 'json' | 'rest';

export type Members = Record<string, unknown>;

export interface WireError {
  readonly code: string;
  readonly status: number;
  readonly message: string;
  /** Of a modelled error, with the values of its members. */
  readonly schema?: StaticErrorSchema;
  readonly members?: Members;
}

/** Of the service, what shapes an answer; of one that is not known, nothing. */
export type Spoken = Pick<Service, 'xmlNamespace'>;

export interface Codec {
  readonly family: Family;
  /** The operation that a request names, whether the service has it or not. */
  route(service: Service, request: WireRequest): string | undefined;
  /** @throws Failure malformed, wrongType, unknownParameter, unknownOperation */
  decode(service: Service, operation: StaticOperationSchema, request: WireRequest): Members;
  encode(of: {
    service: Spoken;
    operation: StaticOperationSchema;
    output: Members;
    requestId: string;
  }): WireResponse;
  encodeError(of: { service: Spoken; error: WireError; requestId: string }): WireResponse;
}
