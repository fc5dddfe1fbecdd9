/** A gateway without sockets: the official client writes, the official signer signs, and the call goes its way. */
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { SeededRandom, VirtualClock } from '@rokka/kernel';
import { Calls } from '../call.ts';
import type { Credential } from '../identity.ts';
import { DEFAULT_LIMITS, type GatewayLimits } from '../limits.ts';
import { ServiceTable } from '../service-table.ts';
import type { RegisteredService } from '../service.ts';
import type { WireRequest } from '../wire.ts';
import { ALICE, credentialsOf, SESSION, TestAudit, TestAuthorizer } from './identity.ts';
import { signed, type ToSign } from './official-signer.ts';
import { testServices, type Stage } from './services.ts';

export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

export class InProcessGateway {
  readonly clock = new VirtualClock();
  readonly authorizer = new TestAuthorizer();
  readonly audit: TestAudit;
  readonly stage: Stage = { seen: [] };
  readonly log: string[] = [];
  readonly calls: Calls;
  readonly #random = new SeededRandom(1);

  /** @param options.audit of a gateway that was before this one */
  constructor(
    options: { services?: RegisteredService[]; limits?: Partial<GatewayLimits>; audit?: TestAudit } = {},
  ) {
    this.audit = options.audit ?? new TestAudit();
    this.calls = new Calls({
      services: new ServiceTable(options.services ?? testServices(this.stage)),
      credentials: credentialsOf(ALICE, SESSION),
      authorizer: this.authorizer,
      audit: this.audit,
      clock: this.clock,
      log: (line) => this.log.push(line),
      limits: { ...DEFAULT_LIMITS, ...options.limits },
    });
  }

  /** A signed request of one of the forms below. */
  async sign(of: Partial<ToSign> & { credential?: Credential }): Promise<WireRequest> {
    return await signed({ atMs: this.clock.wallMs(), credential: ALICE, ...of });
  }

  async send(request: WireRequest, abort = new AbortController()): Promise<Answered> {
    const response = await this.calls.answer({
      request,
      requestId: this.#random.hex(16),
      sourceAddress: '192.0.2.7',
      atMs: this.clock.wallMs(),
      abort,
    });
    const { body } = response;
    return {
      status: response.status,
      headers: response.headers,
      text: body instanceof Readable ? await text(body) : Buffer.from(body).toString(),
    };
  }

  async call(of: Partial<ToSign>): Promise<Answered> {
    return await this.send(await this.sign(of));
  }
}

/** A call in the shape of awsQuery or ec2Query. */
export function form(service: string, fields: Record<string, string>): Partial<ToSign> {
  return {
    service,
    body: new URLSearchParams(fields).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8', 'user-agent': 'test/1' },
  };
}

/** A call in the shape of awsJson1.1. */
export function json(service: string, target: string, body: unknown): Partial<ToSign> {
  return {
    service,
    body: typeof body === 'string' ? body : JSON.stringify(body),
    headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': target },
  };
}

/** A call in the shape of restJson1. */
export function rest(service: string, path: string, body: string): Partial<ToSign> {
  return { service, path, body, headers: { 'content-type': 'application/json' } };
}
