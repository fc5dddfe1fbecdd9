/** A gateway on a free port of loopback, with the test services behind it. */
import { systemClock, systemRandom } from '@rokka/kernel';
import { openGateway, type Gateway } from '../gateway.ts';
import type { GatewayLimits } from '../limits.ts';
import { ALICE, credentialsOf, SESSION, TestAudit, TestAuthorizer } from './identity.ts';
import { testServices, type Stage } from './services.ts';

export interface Served extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly audit: TestAudit;
  readonly authorizer: TestAuthorizer;
  readonly stage: Stage;
  readonly log: string[];
  /** What every client of the SDK takes. */
  readonly client: {
    endpoint: string;
    region: string;
    credentials: { accessKeyId: string; secretAccessKey: string };
    maxAttempts: number;
  };
}

export async function serve(limits: Partial<GatewayLimits> = {}): Promise<Served> {
  const [audit, authorizer] = [new TestAudit(), new TestAuthorizer()];
  const stage: Stage = { seen: [] };
  const log: string[] = [];
  const gateway = await openGateway({
    services: testServices(stage),
    credentials: credentialsOf(ALICE, SESSION),
    authorizer,
    audit,
    clock: systemClock,
    random: systemRandom,
    log: (line) => log.push(line),
    port: 0,
    limits,
  });
  const { accessKeyId, secretAccessKey } = ALICE;
  const credentials = { accessKeyId, secretAccessKey };
  return {
    gateway,
    audit,
    authorizer,
    stage,
    log,
    client: { endpoint: gateway.url, region: 'eu-north-1', credentials, maxAttempts: 1 },
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  };
}
