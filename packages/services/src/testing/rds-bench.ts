/** RDS over a registry and a fake controller, with its operations called as the gateway calls them. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import type * as rds from '@aws-sdk/client-rds';
import { Databases, DatabaseSecrets, Snapshots } from '@rokka/databases';
import type { CallContext, InputOf, OutputOf } from '@rokka/gateway';
import { asLsn, SeededRandom, VirtualClock } from '@rokka/kernel';
import { MemoryRegistry, type Registry } from '@rokka/registry';
import { rdsOperations } from '../rds/rds-handlers.ts';
import type { ArchivePoints, RdsContext } from '../rds/rds-context.ts';
import { RdsKeeper } from '../rds/rds-keeper.ts';
import { FakeController } from './fake-controller.ts';

export const ACCOUNT = '123456789012';
export const REGION = 'eu-north-1';

type Table = ReturnType<typeof rdsOperations>;
type CommandOf<N extends keyof Table> = (typeof rds)[`${N}Command`];

export interface RdsProcess {
  readonly keeper: RdsKeeper;
  call<N extends keyof Table>(
    name: N,
    input: InputOf<CommandOf<N>>,
    where?: { region?: string; account?: string },
  ): Promise<OutputOf<CommandOf<N>>>;
}

export class RdsBench implements Disposable {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-rds-'));
  readonly secrets = new DatabaseSecrets(this.directory);
  readonly clock = new VirtualClock();
  readonly registry: Registry;
  readonly context: RdsContext;
  readonly controller: FakeController;
  readonly process: RdsProcess;
  /** Of every volume. */
  span: { firstMs: number; lastMs: number } | undefined;

  constructor(registry: Registry = new MemoryRegistry()) {
    this.registry = registry;
    this.context = this.contextOver(registry, 1);
    const { databases, snapshots } = this.context;
    this.controller = new FakeController({ databases, snapshots, secrets: this.secrets, clock: this.clock });
    this.process = processOver(this.context);
  }

  /** As another process has it. */
  contextOver(registry: Registry, seed: number): RdsContext {
    const { secrets, clock } = this;
    const random = new SeededRandom(seed);
    const points: ArchivePoints = {
      span: async () => this.span,
      at: async (_volume, atMs) => ({ atMs, lsn: asLsn(42) }),
    };
    return {
      registry,
      databases: new Databases({ registry, secrets, clock, random, many: true }),
      snapshots: new Snapshots({ registry, secrets, clock, random }),
      points,
      clock,
      random,
    };
  }

  get call(): RdsProcess['call'] {
    return this.process.call;
  }

  /** Controller and keeper, in turns. */
  async turns(count = 6): Promise<void> {
    for (let turn = 0; turn < count; turn++) {
      this.clock.advanceTo(this.clock.nowMs() + 1000);
      await this.controller.step();
      await this.process.keeper.step();
    }
  }

  /** With an instance of the same name and `-1`, and served. */
  async cluster(id: string, part: Partial<InputOf<typeof rds.CreateDBClusterCommand>> = {}): Promise<void> {
    await this.call('CreateDBCluster', { ...CLUSTER, DBClusterIdentifier: id, ...part });
    await this.call('CreateDBInstance', {
      DBInstanceIdentifier: `${id}-1`,
      DBClusterIdentifier: id,
      DBInstanceClass: 'db.r8g.large',
      Engine: 'aurora-postgresql',
    });
    await this.turns();
  }

  async status(id: string): Promise<string | undefined> {
    const { DBClusters } = await this.call('DescribeDBClusters', { DBClusterIdentifier: id });
    return DBClusters?.[0]?.Status;
  }

  async instanceStatus(id: string): Promise<string | undefined> {
    const { DBInstances } = await this.call('DescribeDBInstances', { DBInstanceIdentifier: id });
    return DBInstances?.[0]?.DBInstanceStatus;
  }

  async snapshotStatus(id: string): Promise<string | undefined> {
    const found = await this.call('DescribeDBClusterSnapshots', { DBClusterSnapshotIdentifier: id });
    return found.DBClusterSnapshots?.[0]?.Status;
  }

  async events(): Promise<string[]> {
    const { Events } = await this.call('DescribeEvents', { Duration: 20_160 });
    return (Events ?? []).map(({ SourceIdentifier, Message }) => `${SourceIdentifier}: ${Message}`);
  }

  [Symbol.dispose](): void {
    fs.rmSync(this.directory, { recursive: true });
  }
}

export const CLUSTER = {
  Engine: 'aurora-postgresql',
  MasterUsername: 'shop',
  MasterUserPassword: 'secret-secret',
};

export function processOver(context: RdsContext): RdsProcess {
  const table = rdsOperations(context);
  return {
    keeper: new RdsKeeper(context),
    call: async (name, input, { account = ACCOUNT, region = REGION } = {}) => {
      const { handle } = table[name] as { handle(input: unknown, call: CallContext): Promise<never> };
      return handle(input, callIn({ account, region }));
    },
  };
}

export function callIn(where: { account: string; region: string }): CallContext {
  const { account } = where;
  const principal = {
    account,
    arn: `arn:aws:iam::${account}:user/ann`,
    userId: 'AIDAANN',
    kind: 'user',
  } as const;
  const accessKeyId = 'AKIAANN';
  return {
    ...where,
    requestId: 'r-1',
    principal,
    accessKeyId,
    credential: { principal, accessKeyId, secretAccessKey: 'secret' },
    sourceAddress: '127.0.0.1',
    userAgent: 'test',
    atMs: 0,
    signal: new AbortController().signal,
  };
}
