/** What one gateway takes on at a time. Each has a reason to exist: somebody who sends slowly, much, or never stops. */

export interface GatewayLimits {
  /** Of one request's body; 413 above it. Default 2 MiB. */
  readonly bodyBytesMax: number;
  /** Of all bodies that are in memory at once; 503 above it. Default 64 MiB. */
  readonly bodiesBytesMax: number;
  /** Connections at once; further ones are closed at once. Default 512. */
  readonly connectionsMax: number;
  /** Calls at once, from a whole body to the answer; further ones are throttled. Default 128. */
  readonly callsMax: number;
  /** From a connection's, or a request's, first byte to the end of its headers. Default 10 s. */
  readonly headersMs: number;
  /** From the headers to the end of the body. Default 30 s. */
  readonly bodyMs: number;
  /** For a handler, with authorization. Default 60 s. */
  readonly callMs: number;
  /** For a record in the audit. Default 5 s. */
  readonly auditMs: number;
  /** For a client to read its answer. Default 60 s. */
  readonly answerMs: number;
  /** How long a connection may stay open with nothing to do. Default 60 s. */
  readonly idleMs: number;
  /** For running calls to end when the gateway closes. Default 10 s. */
  readonly closeMs: number;
  /** Signatures of mutating calls that are remembered: see `signature/replay-memory.ts`. Default 262,144. */
  readonly signaturesMax: number;
}

export const DEFAULT_LIMITS: GatewayLimits = {
  bodyBytesMax: 2 * 1024 * 1024,
  bodiesBytesMax: 64 * 1024 * 1024,
  connectionsMax: 512,
  callsMax: 128,
  headersMs: 10_000,
  bodyMs: 30_000,
  callMs: 60_000,
  auditMs: 5_000,
  answerMs: 60_000,
  idleMs: 60_000,
  closeMs: 10_000,
  signaturesMax: 262_144,
};
