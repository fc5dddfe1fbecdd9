/** RDS over a registry and a fake controller, with its operations called as the gateway calls them. */
import type * as rds from '@aws-sdk/client-rds';
import type { InputOf, OutputOf } from '@rokka/gateway';
import { asLsn } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import { rdsOperations } from '../rds/rds-handlers.ts';
import type { ArchivePoints, RdsContext } from '../rds/rds-context.ts';
import { RdsKeeper } from '../rds/rds-keeper.ts';
import { callEntry, ServiceBench, type Where } from './service-bench.ts';

type Table = ReturnType<typeof rdsOperations>;
type CommandOf<N extends keyof Table> = (typeof rds)[`${N}Command`];

export interface RdsProcess {
  readonly keeper: RdsKeeper;
  call<N extends keyof Table>(
    name: N,
    input: InputOf<CommandOf<N>>,
    where?: Where,
  ): Promise<OutputOf<CommandOf<N>>>;
}

export class RdsBench extends ServiceBench {
  readonly context: RdsContext;
  readonly process: RdsProcess;
  /** Of every volume. */
  span: { firstMs: number; lastMs: number } | undefined;

  constructor(registry?: Registry) {
    super(registry);
    this.context = this.contextOver(this.registry, 1);
    this.process = processOver(this.context);
  }

  /** As another process has it. */
  contextOver(registry: Registry, seed: number): RdsContext {
    const points: ArchivePoints = {
      span: async () => this.span,
      at: async (_volume, atMs) => ({ atMs, lsn: asLsn(42) }),
    };
    return { ...this.recordsOver(registry, seed), points };
  }

  get call(): RdsProcess['call'] {
    return this.process.call;
  }

  /** With an instance of the same name and `-1`, and served. */
  async cluster(id: string, part: Partial<InputOf<typeof rds.CreateDBClusterCommand>> = {}): Promise<void> {
    await this.call('CreateDBCluster', { ...CLUSTER, DBClusterIdentifier: id, ...part });
    await this.call('CreateDBInstance', instanceOf(id, `${id}-1`));
    await this.turns();
  }

  /** The same with a standby, `-2`, that waits. */
  async pair(id: string): Promise<void> {
    await this.cluster(id);
    await this.call('CreateDBInstance', instanceOf(id, `${id}-2`));
    await this.turns();
  }

  /** Its instances as it names them, the writer first, each with its status. */
  async members(id: string): Promise<string[]> {
    const { DBClusters } = await this.call('DescribeDBClusters', { DBClusterIdentifier: id });
    const { DBInstances = [] } = await this.call('DescribeDBInstances', {});
    return (DBClusters?.[0]?.DBClusterMembers ?? []).map(
      ({ DBInstanceIdentifier: name, IsClusterWriter }) => {
        const found = DBInstances.find(({ DBInstanceIdentifier }) => DBInstanceIdentifier === name);
        return `${IsClusterWriter ? 'writer' : 'standby'} ${name} ${found?.DBInstanceStatus}`;
      },
    );
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
}

export const instanceOf = (DBClusterIdentifier: string, DBInstanceIdentifier: string) => ({
  DBClusterIdentifier,
  DBInstanceIdentifier,
  DBInstanceClass: 'db.r8g.large',
  Engine: 'aurora-postgresql',
});

export const CLUSTER = {
  Engine: 'aurora-postgresql',
  MasterUsername: 'shop',
  MasterUserPassword: 'secret-secret',
};

export function processOver(context: RdsContext): RdsProcess {
  const table = rdsOperations(context);
  return {
    keeper: new RdsKeeper(context),
    call: (name, input, where) => callEntry(table[name], input, where),
  };
}
