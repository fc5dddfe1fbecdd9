/**
 * The gateway: the process that answers the AWS API. It carries nothing out: what a call wants it writes into the registry, where
 * the supervisor's controller finds it. It may end at any moment, and begins again where the registry says. Its only argument is
 * GatewayProcessOptions as JSON; without it, it only compiles itself.
 */
import * as path from 'node:path';
import { openGateway } from '@rokka/gateway';
import { systemClock, systemRandom } from '@rokka/kernel';
import {
  DlmKeeper,
  dlmService,
  type Ec2Context,
  ec2Instances,
  Ec2Keeper,
  ec2Service,
  ensureAdministrator,
  importHandlers,
  IdentityAuthorizer,
  IdentityCredentials,
  identityServices,
  IdentityStore,
  openTrail,
  PolicyCache,
  type RdsContext,
  RdsKeeper,
  rdsService,
  type RestoreTest,
  type SsmContext,
  SsmKeeper,
  ssmService,
  standingRights,
  writeAwsProfile,
} from '@rokka/services';
import { keepCompiledCode } from '../compile-cache.ts';
import { openClusterRegistry } from '../cluster-registry.ts';
import { dataPaths } from '../data-directory.ts';
import { archivePoints } from '../databases/archive-points.ts';
import { machinesWithVolumes, ownMachine } from '../machines/machine-list.ts';
import { archiveStore } from '../databases/archive-store.ts';
import { openDatabases, openSnapshots } from '../databases/cluster-databases.ts';
import { Keeping } from './keeping.ts';
import { runChild, type ParentChannel, type RunningChild } from './channel.ts';

export interface GatewayProcessOptions {
  directory: string;
  port: number;
}

export interface GatewayDetail {
  readonly url: string;
}

export interface GatewayStatus extends GatewayDetail {
  readonly account: string;
  readonly memoryBytes: number;
  readonly restoreTests: readonly RestoreTest[];
}

/** Starting again would change nothing. */
const FINAL = /^(REGISTRY_VERSION|REGISTRY_CORRUPT|AUDIT_FOREIGN|AUDIT_VERSION)$/;
/** Another program has the port; one of ours that has just ended may have it still. */
const FINAL_AT_FIRST = /^GATEWAY_ADDRESS_USED$/;
/** What requests that name none are signed for. */
const REGION = 'us-east-1';

if (process.argv[2] === undefined) await compileAll();
else await run(JSON.parse(process.argv[2]) as GatewayProcessOptions);

async function compileAll(): Promise<void> {
  await importHandlers();
  keepCompiledCode();
}

function run(options: GatewayProcessOptions): Promise<void> {
  return runChild({
    finality: (code) => (FINAL.test(code) ? 'always' : FINAL_AT_FIRST.test(code) ? 'at-first' : 'never'),
    work: (channel) => runGateway(options, channel),
  });
}

async function runGateway(
  { directory, port }: GatewayProcessOptions,
  channel: ParentChannel,
): Promise<RunningChild> {
  const resources = new AsyncDisposableStack();
  try {
    const log = (text: string) => channel.send({ kind: 'log', level: 'info', text });
    const registry = resources.use(await openClusterRegistry(directory));
    const clock = systemClock;
    const random = systemRandom;
    const { account, administrator } = await ensureAdministrator({ registry, clock, random });
    const store = new IdentityStore({ registry, clock, account });
    const identity = { store, policies: new PolicyCache(), random, clock };
    const trail = resources.use(
      openTrail({ path: path.join(directory, 'audit.sqlite'), clock, random, account }),
    );
    const records = {
      registry,
      databases: openDatabases({ directory, registry }),
      snapshots: openSnapshots({ directory, registry }),
      clock,
      random,
    };
    const rds: RdsContext = { ...records, points: archivePoints(archiveStore(directory)) };
    const own = ownMachine(directory, clock);
    const ec2: Ec2Context = {
      ...records,
      identity,
      machines: () => machinesWithVolumes({ ...records, own }),
    };
    resources.use(new Keeping({ service: 'RDS', keeper: new RdsKeeper(rds), clock, log }));
    const ssm: SsmContext = {
      registry,
      clock,
      random,
      instances: ec2Instances(ec2),
      rights: standingRights({ identity, clock }),
    };
    const ssmKeeper = new SsmKeeper(ssm);
    resources.use(new Keeping({ service: 'SSM', keeper: ssmKeeper, clock, log }));
    resources.use(new Keeping({ service: 'EC2', keeper: new Ec2Keeper(ec2), clock, log }));
    const dlm = { ec2, ssm };
    resources.use(new Keeping({ service: 'DLM', keeper: new DlmKeeper(dlm), clock, log }));
    const gateway = resources.use(
      await openGateway({
        services: [
          ...identityServices({ ...identity, trail }),
          rdsService(rds),
          ec2Service(ec2),
          ssmService(ssm),
          dlmService(dlm),
        ],
        credentials: new IdentityCredentials(identity),
        authorizer: new IdentityAuthorizer(identity),
        audit: trail,
        clock,
        random,
        log,
        port,
      }),
    );
    // Where the administrator was deleted, whoever did that has another way in.
    if (administrator)
      writeAwsProfile({
        directory: dataPaths.aws(directory),
        ...administrator,
        region: REGION,
        endpointUrl: gateway.url,
      });
    const detail: GatewayDetail = { url: gateway.url };
    return {
      detail,
      status: (): GatewayStatus => ({
        ...detail,
        account,
        memoryBytes: process.memoryUsage().rss,
        restoreTests: ssmKeeper.restoreTests,
      }),
      [Symbol.asyncDispose]: () => resources.disposeAsync(),
    };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}
