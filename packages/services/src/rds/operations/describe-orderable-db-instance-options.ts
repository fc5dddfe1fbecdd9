import type {
  DescribeOrderableDBInstanceOptionsCommand,
  OrderableDBInstanceOption,
} from '@aws-sdk/client-rds';
import type { Operation } from '@rokka/gateway';
import { ENGINE, ENGINE_VERSION, isEngineVersion } from '../engine-versions.ts';
import { OFFERED_CLASSES } from '../instance-sizes.ts';
import type { RdsServices } from '../rds-context.ts';
import type { Scope } from '../../scope.ts';
import { filtered, pageOf } from '../rds-lists.ts';
import { scopeOf } from '../rds-names.ts';
import { zonesOf } from '../../scope.ts';

/** A few classes; every other `db.FAMILY.SIZE` is taken as well. @throws InvalidParameterValue */
export const describeOrderableDBInstanceOptions = (
  services: RdsServices,
): Operation<typeof DescribeOrderableDBInstanceOptionsCommand> => ({
  async handle(input, call) {
    const scope = scopeOf(call);
    const { Engine, EngineVersion, DBInstanceClass, LicenseModel } = input;
    const isAsked =
      Engine === ENGINE &&
      (!EngineVersion || isEngineVersion(EngineVersion)) &&
      (!LicenseModel || LicenseModel === 'postgresql-license');
    const options = isAsked ? [...OFFERED_CLASSES].sort().map((name) => optionOf(name, scope)) : [];
    const wanted = options.filter((option) => !DBInstanceClass || option.DBInstanceClass === DBInstanceClass);
    const { items, Marker } = pageOf(services, {
      items: filtered(wanted, input.Filters, {}),
      keyOf: (option) => option.DBInstanceClass ?? '',
      input,
      scope,
      asked: ['orderable', Engine, EngineVersion, DBInstanceClass, LicenseModel],
    });
    return { OrderableDBInstanceOptions: items, ...(Marker !== undefined && { Marker }) };
  },
});

const optionOf = (instanceClass: string, scope: Scope): OrderableDBInstanceOption => ({
  Engine: ENGINE,
  EngineVersion: ENGINE_VERSION,
  DBInstanceClass: instanceClass,
  LicenseModel: 'postgresql-license',
  AvailabilityZones: zonesOf(scope).map((Name) => ({ Name })),
  StorageType: 'aurora',
  MultiAZCapable: false,
  ReadReplicaCapable: false,
  Vpc: false,
  SupportsStorageEncryption: false,
  SupportsIops: false,
  SupportsEnhancedMonitoring: false,
  SupportsIAMDatabaseAuthentication: false,
  SupportsPerformanceInsights: false,
  SupportsStorageAutoscaling: false,
  SupportsKerberosAuthentication: false,
  SupportsGlobalDatabases: false,
  SupportsClusters: true,
  SupportedEngineModes: ['provisioned'],
  SupportedNetworkTypes: ['IPV4'],
  OutpostCapable: false,
});
