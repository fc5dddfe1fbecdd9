/** RDS behind a gateway on a free port of loopback, with one user and a controller that goes on by itself. */
import type { RDSClientConfig } from '@aws-sdk/client-rds';
import {
  type AuthorizationRequest,
  type Credential,
  type Decision,
  defineService,
  lazyService,
  openGateway,
} from '@rokka/gateway';
import { systemClock, systemRandom } from '@rokka/kernel';
import { loadRdsHandlers } from '../handlers.ts';
import { ACCOUNT, REGION, type RdsBench } from './rds-bench.ts';

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

export interface RdsGateway extends AsyncDisposable {
  readonly client: RDSClientConfig;
  /** What the authorizer was asked. */
  readonly asked: AuthorizationRequest[];
  /** Resources that are denied. */
  readonly denied: Set<string>;
  readonly log: string[];
}

export async function serveRds(bench: RdsBench): Promise<RdsGateway> {
  const asked: AuthorizationRequest[] = [];
  const denied = new Set<string>();
  const log: string[] = [];
  const gateway = await openGateway({
    services: [
      lazyService({
        signingName: 'rds',
        load: async () => {
          const sdk = await import('@aws-sdk/client-rds');
          const operations = await loadRdsHandlers(bench.context);
          return defineService({ sdk, client: sdk.RDSClient, operations });
        },
      }),
    ],
    credentials: { find: async (id) => (id === ANN.accessKeyId ? ANN : undefined) },
    authorizer: {
      async decide(request): Promise<Decision> {
        asked.push(request);
        return denied.has(request.resource) ? 'explicitDeny' : 'allowed';
      },
    },
    audit: { record: async () => {} },
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

async function turn(bench: RdsBench, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await bench.turns(1);
    await systemClock.sleep(TURN_MS, signal).catch(() => {});
  }
}
