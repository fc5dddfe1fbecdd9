import type { CreateDBClusterCommand } from '@aws-sdk/client-rds';
import type { Operation } from '@rokka/gateway';
import { CLUSTER_MEMBERS, makeCluster } from '../cluster-making.ts';
import { rdsArn } from '../rds-arns.ts';
import { type RdsServices } from '../rds-context.ts';
import { checked, demandBuilt, demandEngine, given } from '../rds-inputs.ts';
import { newName, scopeOf } from '../rds-names.ts';

/** An empty one, without an instance. @throws DBClusterAlreadyExistsFault and what inputs may not say */
export const createDBCluster = (services: RdsServices): Operation<typeof CreateDBClusterCommand> => ({
  resources: (input, call) => [
    rdsArn(call, 'cluster', newName('cluster', input.DBClusterIdentifier, 'DBClusterIdentifier')),
  ],
  conditions: ({ Engine = '', DatabaseName }) => ({
    'rds:DatabaseEngine': Engine,
    ...(DatabaseName !== undefined && { 'rds:DatabaseName': DatabaseName }),
  }),
  async handle(input, call) {
    const id = newName('cluster', input.DBClusterIdentifier, 'DBClusterIdentifier');
    demandBuilt(input, [
      ...CLUSTER_MEMBERS,
      'DBClusterIdentifier',
      'Engine',
      'EngineVersion',
      'MasterUsername',
      'MasterUserPassword',
      'DatabaseName',
      'PreferredMaintenanceWindow',
    ]);
    demandEngine(input);
    const { DatabaseName } = input;
    const cluster = {
      id,
      userName: checked.userName(given(input.MasterUsername, 'MasterUsername')),
      databaseName: DatabaseName === undefined ? undefined : checked.databaseName(DatabaseName),
      wish: { password: checked.password(given(input.MasterUserPassword, 'MasterUserPassword')) },
    };
    return { DBCluster: await makeCluster(services, scopeOf(call), { input, cluster }) };
  },
});
