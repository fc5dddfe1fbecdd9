/**
 * The AWS API on one port: whoever speaks to AWS, with its CLI or an SDK, speaks to this with `--endpoint-url`.
 *
 * A request comes in by `doorway.ts`, is read by `exchange.ts`, and goes its way in `call.ts`. docs/gateway.md follows one.
 */
import { deadline, Deferred, isCoded, type Clock, type Random } from '@rokka/kernel';
import type { AddressInfo } from 'node:net';
import { Calls } from './call.ts';
import { Doorway } from './doorway.ts';
import { gatewayErrors } from './errors.ts';
import { Exchanges } from './exchange.ts';
import type { Audit, Authorizer, Credentials } from './identity.ts';
import { DEFAULT_LIMITS, type GatewayLimits } from './limits.ts';
import type { RegisteredService } from './service.ts';
import { ServiceTable } from './service-table.ts';

export interface GatewayOptions {
  readonly services: readonly RegisteredService[];
  readonly credentials: Credentials;
  readonly authorizer: Authorizer;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly random: Random;
  /** One line each, without its end. */
  readonly log: (line: string) => void;
  /** Default `127.0.0.1`. There is no TLS here: what is said on another address can be heard. */
  readonly host?: string;
  /** Default 4566; 0 takes any that is free. */
  readonly port?: number;
  readonly limits?: Partial<GatewayLimits>;
}

export interface Gateway extends AsyncDisposable {
  /** `http://127.0.0.1:4566`. */
  readonly url: string;
  readonly port: number;
  /** Takes nothing more, lets running calls end for `closeMs`, then ends them. */
  [Symbol.asyncDispose](): Promise<void>;
}

export const DEFAULT_PORT = 4566;

/** @throws GATEWAY_ADDRESS_USED, GATEWAY_SERVICE_TWICE */
export async function openGateway(options: GatewayOptions): Promise<Gateway> {
  const limits: GatewayLimits = { ...DEFAULT_LIMITS, ...options.limits };
  const calls = new Calls({ ...options, limits, services: new ServiceTable(options.services) });
  const exchanges = new Exchanges({ ...options, limits, calls });
  const doorway = new Doorway({
    clock: options.clock,
    limits,
    onRequest: (incoming, outgoing) => void exchanges.serve(incoming, outgoing),
  });
  const host = options.host ?? '127.0.0.1';
  const port = await listen(doorway, host, options.port ?? DEFAULT_PORT);
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    [Symbol.asyncDispose]: () => close({ doorway, exchanges, clock: options.clock, closeMs: limits.closeMs }),
  };
}

async function listen({ server }: Doorway, host: string, port: number): Promise<number> {
  const bound = new Deferred<void>();
  server.once('error', (error: NodeJS.ErrnoException) =>
    bound.reject(
      gatewayErrors.GATEWAY_ADDRESS_USED([host, port, error.code ?? error.message], { cause: error }),
    ),
  );
  server.listen({ host, port }, () => bound.resolve());
  await bound.promise;
  return (server.address() as AddressInfo).port;
}

async function close(of: {
  doorway: Doorway;
  exchanges: Exchanges;
  clock: Clock;
  closeMs: number;
}): Promise<void> {
  const { doorway, exchanges, clock, closeMs } = of;
  const closed = doorway.close();
  try {
    await deadline(exchanges.close(), { what: 'running calls', ms: closeMs, clock });
  } catch (error) {
    if (!isCoded(error, 'KERNEL_DEADLINE')) throw error;
  }
  exchanges.abort();
  doorway.destroyConnections();
  await closed;
}
