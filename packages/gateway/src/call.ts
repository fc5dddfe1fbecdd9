/**
 * One call's way: verify → load the service → route → decode → authorize → once only → handle → encode → audit.
 *
 * Each step adds what it found to the call's trace and throws what is wrong; whichever step it was, the trace is what the audit
 * keeps, and the answer is in the shape that the request spoke. Nothing is loaded, and nothing of a body is read beyond its
 * hash, before the signature is verified.
 */
import { deadline, isCoded, type Clock } from '@rokka/kernel';
import type { StaticOperationSchema } from '@smithy/types';
import { AuditTrail } from './audit-trail.ts';
import { authorize } from './authorization.ts';
import { chooseCodec } from './codecs/choose.ts';
import type { Codec, Members } from './codecs/codec.ts';
import { missingMembers } from './codecs/schema.ts';
import { gatewayErrors } from './errors.ts';
import { AwsError, Failure, type FailureKind } from './failures.ts';
import type { Audit, Authorizer, Credentials } from './identity.ts';
import type { GatewayLimits } from './limits.ts';
import type { AnyOperation, CallContext } from './operation.ts';
import type { ServiceTable } from './service-table.ts';
import type { Service } from './service.ts';
import { ReplayMemory, usedSignature } from './signature/replay-memory.ts';
import { peekScope } from './signature/scope.ts';
import { SigningKeys } from './signature/signing-keys.ts';
import { verifySignature, type Verified } from './signature/verify.ts';
import { toldError, type ToldError } from './told-error.ts';
import { userAgentOf, type Arrival, type Trace } from './trace.ts';
import type { WireRequest, WireResponse } from './wire.ts';

export interface CallsOptions {
  readonly services: ServiceTable;
  readonly credentials: Credentials;
  readonly authorizer: Authorizer;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly log: (line: string) => void;
  readonly limits: GatewayLimits;
}

export class Calls {
  readonly #options: CallsOptions;
  readonly #replays: ReplayMemory;
  readonly #keys = new SigningKeys();
  readonly #trail: AuditTrail;

  constructor(options: CallsOptions) {
    this.#options = options;
    const { audit, clock, limits } = options;
    const used = audit.usedSignatures(clock.wallMs());
    this.#replays = new ReplayMemory({ limit: limits.signaturesMax, used });
    this.#trail = new AuditTrail({ ...options, deadlineMs: options.limits.auditMs });
  }

  /** Never rejects: whatever goes wrong is an answer. */
  async answer(arrival: Arrival): Promise<WireResponse> {
    const trace: Trace = { arrival, claimed: peekScope(arrival.request) };
    let response: WireResponse;
    let error: ToldError | undefined;
    try {
      response = await this.#inTime(trace, this.#carryOut(trace));
    } catch (failure) {
      const { signal } = arrival.abort;
      // A handler that stops when it is told to has not failed.
      const thrown = signal.aborted && failure === signal.reason ? givenUp() : failure;
      const codec = this.#codecOf(trace);
      error = toldError(thrown, trace.service, codec.family);
      if (error.unforeseen) this.#logUnforeseen(trace, thrown);
      response = this.#encodeError(codec, error, trace.service, arrival.requestId);
    }
    await this.#trail.record(trace, error);
    return response;
  }

  /** An answer to what is not let in: too large, too late, too much at once. It is no call, so the audit keeps nothing of it. */
  refuse(
    request: Pick<WireRequest, 'headers' | 'query'>,
    requestId: string,
    kind: FailureKind,
    message: string,
  ): WireResponse {
    const codec = chooseCodec(this.#options.services.protocolOf(peekScope(request)?.service), request);
    const error = toldError(new Failure(kind, message), undefined, codec.family);
    return this.#encodeError(codec, error, undefined, requestId);
  }

  /** What hangs is given up; what it was at may still end, and is told so by its signal. */
  async #inTime<T>(trace: Trace, work: Promise<T>): Promise<T> {
    const { clock, limits, log } = this.#options;
    try {
      return await deadline(work, { what: 'a call', ms: limits.callMs, clock });
    } catch (error) {
      if (!isCoded(error, 'KERNEL_DEADLINE')) throw error;
      const { requestId, abort } = trace.arrival;
      abort.abort(error);
      log(gatewayErrors.GATEWAY_CALL_LATE([requestId, nameOf(trace), limits.callMs]).message);
      const message = `${nameOf(trace)} took too long: whether it has happened is not known here.`;
      throw new Failure('unavailable', message, error);
    }
  }

  async #carryOut(trace: Trace): Promise<WireResponse> {
    const { request } = trace.arrival;
    trace.verified = await verifySignature(request, {
      credentials: this.#options.credentials,
      keys: this.#keys,
      nowMs: trace.arrival.atMs,
    });
    const service = (trace.service = await this.#load(trace.verified.scope.service));
    const codec = this.#codecOf(trace);
    const { operation, handler } = this.#route(trace, service, codec);
    const input = (trace.input = codec.decode(service, operation, request));
    checkRequired(service, operation, input);
    const output = await this.#handle(trace, { service, operation, handler, input });
    return codec.encode({ service, operation, output, requestId: trace.arrival.requestId });
  }

  async #load(signingName: string): Promise<Service> {
    let service: Service | undefined;
    try {
      service = await this.#options.services.load(signingName);
    } catch (error) {
      this.#options.log(gatewayErrors.GATEWAY_SERVICE_UNLOADABLE([signingName, String(error)]).message);
      throw new Failure('unavailable', `The service ${signingName} could not be loaded. Try again.`, error);
    }
    if (!service)
      throw new Failure('notImplemented', `The service ${signingName.slice(0, 64)} is not implemented here.`);
    return service;
  }

  #route(
    trace: Trace,
    service: Service,
    codec: Codec,
  ): { operation: StaticOperationSchema; handler: AnyOperation } {
    const name = (trace.name = codec.route(service, trace.arrival.request));
    const operation = name === undefined ? undefined : service.operations.get(name);
    if (!operation)
      throw new Failure(
        'unknownOperation',
        `The action ${name?.slice(0, 128) ?? '(none)'} is not valid for this endpoint.`,
      );
    trace.operation = operation;
    const handler = service.handlers.get(operation[2]);
    if (!handler)
      throw new Failure('notImplemented', `${service.actionPrefix}:${operation[2]} is not implemented here.`);
    trace.handler = handler;
    return { operation, handler };
  }

  async #handle(
    trace: Trace,
    of: { service: Service; operation: StaticOperationSchema; handler: AnyOperation; input: Members },
  ): Promise<Members> {
    const { arrival, verified } = trace as Trace & { verified: Verified };
    const { handler, input } = of;
    const context = contextOf(arrival, verified);
    await authorize(this.#options.authorizer, {
      action: `${of.service.actionPrefix}:${of.operation[2]}`,
      operation: handler,
      input,
      credential: verified.credential,
      context,
    });
    // Whoever was told that it took too long must not find it done later because only the authorizer was slow.
    if (context.signal.aborted) throw givenUp();
    // EC2's question whether a call would be allowed; carried out, it would be the very thing that was not wanted.
    if (of.service.protocol === 'aws.protocols#ec2Query' && input['DryRun'] === true)
      throw new AwsError('DryRunOperation', 'Request would have succeeded, but DryRun flag is set.', {
        status: 412,
      });
    if (!handler.readOnly) this.#admit(trace, verified);
    return ((await handler.handle(input, context)) ?? {}) as Members;
  }

  #admit(trace: Trace, verified: Verified): void {
    const { atMs } = trace.arrival;
    const admission = this.#replays.admit(verified, atMs);
    if (admission === 'first') trace.used = usedSignature(verified, atMs);
    if (admission === 'again')
      throw new Failure(
        'throttled',
        'This signature has been used already. Sign the request again to repeat it.',
      );
    if (admission === 'full') throw new Failure('throttled', 'Rate exceeded');
  }

  #codecOf(trace: Trace): Codec {
    const protocol = trace.service?.protocol ?? this.#options.services.protocolOf(trace.claimed?.service);
    return chooseCodec(protocol, trace.arrival.request);
  }

  #encodeError(
    codec: Codec,
    error: ToldError,
    service: Service | undefined,
    requestId: string,
  ): WireResponse {
    const spoken = { xmlNamespace: service?.xmlNamespace };
    try {
      return codec.encodeError({ service: spoken, error, requestId });
    } catch {
      // A handler's exception may carry members that its own schema cannot write: its code and message can always be.
      const { code, status, message } = error;
      return codec.encodeError({ service: spoken, error: { code, status, message }, requestId });
    }
  }

  #logUnforeseen(trace: Trace, thrown: unknown): void {
    const { requestId } = trace.arrival;
    const why = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    this.#options.log(
      gatewayErrors.GATEWAY_CALL_FAILED([requestId, nameOf(trace), why.replace(/\s*\n\s*/g, ' ← ')]).message,
    );
  }
}

function checkRequired(service: Service, operation: StaticOperationSchema, input: Members): void {
  const missing = missingMembers(operation[4], input);
  if (missing.length === 0) return;
  const message = `The request must contain the parameter ${missing.join(', ')}.`;
  if (service.missingParameterCode !== undefined) throw new AwsError(service.missingParameterCode, message);
  throw new Failure('missingParameter', message);
}

function givenUp(): Failure {
  return new Failure('unavailable', 'The call was given up: nobody waited for it any more.');
}

/** `rds:CreateDBCluster`, as far as it is known. */
function nameOf({ service, operation }: Trace): string {
  return `${service?.actionPrefix ?? '?'}:${operation?.[2] ?? '?'}`;
}

function contextOf(arrival: Arrival, { credential, scope }: Verified): CallContext {
  return {
    requestId: arrival.requestId,
    account: credential.principal.account,
    region: scope.region,
    principal: credential.principal,
    accessKeyId: credential.accessKeyId,
    credential,
    sourceAddress: arrival.sourceAddress,
    userAgent: userAgentOf(arrival.request),
    atMs: arrival.atMs,
    signal: arrival.abort.signal,
  };
}
