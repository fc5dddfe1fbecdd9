/** A service behind a gateway on a free port of loopback, with one user and a controller that goes on by itself. */
import {
  type AuthorizationRequest,
  type Credential,
  type Decision,
  openGateway,
  type RegisteredService,
} from '@rokka/gateway';
import { systemClock, systemRandom } from '@rokka/kernel';
import { ACCOUNT, REGION, type ServiceBench } from './service-bench.ts';

const TURN_MS = 50;

const ANN: Credential = {
  accessKeyId: 'AKIAANN0000000000000',
  secretAccessKey: 'ann/secret+key',
  principal: {
    account: ACCOUNT,
    arn: `arn:aws:iam::${ACCOUNT}:user/ann`,
    userId: 'AIDAANN',
    kind: 'user',
  },
};

export interface ServedService extends AsyncDisposable {
  /** For a client of the SDK. */
  readonly client: {
    readonly endpoint: string;
    readonly region: string;
    readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
    readonly maxAttempts: number;
  };
  /** What the authorizer was asked. */
  readonly asked: AuthorizationRequest[];
  /** Resources that are denied. */
  readonly denied: Set<string>;
  readonly log: string[];
}

export async function serve(service: RegisteredService, bench: ServiceBench): Promise<ServedService> {
  const asked: AuthorizationRequest[] = [];
  const denied = new Set<string>();
  const log: string[] = [];
  const gateway = await openGateway({
    services: [service],
    credentials: { find: async (id) => (id === ANN.accessKeyId ? ANN : undefined) },
    authorizer: {
      async decide(request): Promise<Decision> {
        asked.push(request);
        return denied.has(request.resource) ? 'explicitDeny' : 'allowed';
      },
    },
    audit: { record: async () => {}, usedSignatures: () => [] },
    clock: systemClock,
    random: systemRandom,
    log: (line) => log.push(line),
    port: 0,
  });
  const ended = new AbortController();
  const turning = turn(bench, ended.signal);
  return {
    client: {
      endpoint: gateway.url,
      region: REGION,
      credentials: { accessKeyId: ANN.accessKeyId, secretAccessKey: ANN.secretAccessKey },
      maxAttempts: 1,
    },
    asked,
    denied,
    log,
    async [Symbol.asyncDispose]() {
      ended.abort();
      await turning;
      await gateway[Symbol.asyncDispose]();
    },
  };
}

async function turn(bench: ServiceBench, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await bench.turns(1);
    await systemClock.sleep(TURN_MS, signal).catch(() => {});
  }
}
