/** What an operation knows of the call beside its input. */
import type { Credential } from '@rokka/gateway';
import type { Clock } from '@rokka/kernel';

export interface CallContext {
  readonly requestId: string;
  readonly region: string;
  readonly credential: Credential;
  readonly clock: Clock;
  /** What policies may ask of the request: `aws:SourceIp`, `aws:UserAgent`. */
  readonly conditionKeys?: Readonly<Record<string, string | readonly string[]>>;
}
