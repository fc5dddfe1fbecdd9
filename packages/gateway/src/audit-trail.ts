/**
 * Writes each call into the audit, before its answer leaves.
 *
 * If that fails, the call has happened all the same, and to answer with an error would be to deny it: a client would repeat
 * what is done. The answer leaves, and the log says what the audit lacks.
 */
import { deadline, describeError, type Clock } from '@rokka/kernel';
import { normalized } from './codecs/schema.ts';
import { gatewayErrors } from './errors.ts';
import type { Audit, AuditRecord } from './identity.ts';
import { isReadOnlyName } from './operation.ts';
import { redact } from './redaction.ts';
import type { ToldError } from './told-error.ts';
import { userAgentOf, type Trace } from './trace.ts';

const MESSAGE_MAX = 1024;

export interface AuditTrailOptions {
  readonly audit: Audit;
  readonly clock: Clock;
  readonly log: (line: string) => void;
  readonly deadlineMs: number;
}

export class AuditTrail {
  readonly #options: AuditTrailOptions;

  constructor(options: AuditTrailOptions) {
    this.#options = options;
  }

  /** Never rejects. */
  async record(trace: Trace, error: ToldError | undefined): Promise<void> {
    const { audit, clock, log, deadlineMs } = this.#options;
    const record = auditRecord(trace, error);
    try {
      await deadline(audit.record(record), { what: 'a record in the audit', ms: deadlineMs, clock });
    } catch (failure) {
      const { requestId, eventSource, eventName } = record;
      log(
        gatewayErrors.GATEWAY_AUDIT_FAILED([requestId, `${eventSource} ${eventName}`, describeError(failure)])
          .message,
      );
    }
  }
}

function auditRecord(trace: Trace, error: ToldError | undefined): AuditRecord {
  const { arrival, claimed, verified, service, operation, handler, input, used } = trace;
  const scope = verified?.scope ?? claimed;
  const eventName = operation?.[2] ?? cleanName(trace.name);
  return {
    requestId: arrival.requestId,
    atMs: arrival.atMs,
    eventSource: service?.eventSource ?? `${cleanName(scope?.service)}.amazonaws.com`,
    eventName,
    region: cleanName(scope?.region),
    sourceAddress: arrival.sourceAddress,
    userAgent: userAgentOf(arrival.request),
    principal: verified?.credential.principal,
    accessKeyId: verified?.credential.accessKeyId ?? claimed?.accessKeyId.slice(0, 128),
    readOnly: handler?.readOnly ?? isReadOnlyName(eventName),
    errorCode: error?.code,
    errorMessage: error?.message.slice(0, MESSAGE_MAX),
    request: operation && input ? redact(normalized(operation[4]), input) : undefined,
    used,
  };
}

/** A name from an unread request: kept only if it looks like one. */
function cleanName(name: string | undefined): string {
  return name !== undefined && /^[\w.-]{1,128}$/.test(name) ? name : 'unknown';
}
