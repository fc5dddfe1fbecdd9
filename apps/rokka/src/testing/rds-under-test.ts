/** RDS of a cluster under test, as a client of the SDK sees it. */
import assert from 'node:assert/strict';
import * as rds from '@aws-sdk/client-rds';
import type { ClientConfig } from 'pg';
import { must, systemClock } from '@rokka/kernel';
import { queryOnce } from './superuser.ts';

export const ENGINE = { Engine: 'aurora-postgresql' };
export const PASSWORD = 'first-secret-9';

/** A cluster's databases as their owner sees them. */
export class RdsUnderTest {
  readonly client: rds.RDSClient;

  constructor(client: rds.RDSClient) {
    this.client = client;
  }

  get waiting() {
    return { client: this.client, maxWaitTime: 300, minDelay: 1, maxDelay: 1 };
  }

  async connection(cluster: string, password = PASSWORD): Promise<ClientConfig> {
    const found = await this.client.send(new rds.DescribeDBClustersCommand({ DBClusterIdentifier: cluster }));
    const { Endpoint, Port, MasterUsername, DatabaseName } = must(found.DBClusters?.[0]);
    return {
      host: must(Endpoint),
      port: must(Port),
      user: must(MasterUsername),
      database: must(DatabaseName),
      password,
      connectionTimeoutMillis: 60_000,
    };
  }

  async query<Row extends object>(cluster: string, sql: string, password?: string): Promise<Row[]> {
    return queryOnce<Row>(await this.connection(cluster, password), sql, []);
  }

  /** Gives the cluster an instance, and waits until it serves, or waits for its turn to. */
  async serve(
    cluster: string,
    DBInstanceIdentifier = `${cluster}-1`,
    DBInstanceClass = 'db.t4g.medium',
  ): Promise<void> {
    await this.client.send(
      new rds.CreateDBInstanceCommand({
        ...ENGINE,
        DBInstanceIdentifier,
        DBClusterIdentifier: cluster,
        DBInstanceClass,
      }),
    );
    await rds.waitUntilDBInstanceAvailable(this.waiting, { DBInstanceIdentifier });
  }

  /** The identifier of the writer, then those of the others. */
  async members(cluster: string): Promise<(string | undefined)[]> {
    const found = await this.client.send(new rds.DescribeDBClustersCommand({ DBClusterIdentifier: cluster }));
    const members = found.DBClusters?.[0]?.DBClusterMembers ?? [];
    const writers = members.filter(({ IsClusterWriter }) => IsClusterWriter);
    const others = members.filter(({ IsClusterWriter }) => !IsClusterWriter);
    return [...writers, ...others].map(({ DBInstanceIdentifier }) => DBInstanceIdentifier);
  }

  async until(cluster: string, holds: (found: rds.DBCluster) => boolean): Promise<void> {
    for (const untilMs = systemClock.nowMs() + 180_000; ;) {
      const command = new rds.DescribeDBClustersCommand({ DBClusterIdentifier: cluster });
      const found = must((await this.client.send(command)).DBClusters?.[0]);
      if (holds(found)) return;
      assert.ok(systemClock.nowMs() < untilMs, `${cluster} is ${found.Status}`);
      await systemClock.sleep(200);
    }
  }

  async kept(snapshot: string): Promise<void> {
    const DBClusterSnapshotIdentifier = snapshot;
    await rds.waitUntilDBClusterSnapshotAvailable(this.waiting, { DBClusterSnapshotIdentifier });
  }
}
