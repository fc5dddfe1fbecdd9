import type { DBEngineVersion, DescribeDBEngineVersionsCommand } from '@aws-sdk/client-rds';
import type { Operation } from '@rokka/gateway';
import { ENGINE, ENGINE_VERSION, isEngineVersion, PARAMETER_GROUP_FAMILY } from '../engine-versions.ts';
import type { RdsServices } from '../rds-context.ts';
import { filtered, type FilterTable, pageOf } from '../rds-lists.ts';
import { scopeOf } from '../rds-names.ts';

const [MAJOR] = ENGINE_VERSION.split('.');

const VERSION: DBEngineVersion = {
  Engine: ENGINE,
  EngineVersion: ENGINE_VERSION,
  MajorEngineVersion: MAJOR,
  DBParameterGroupFamily: PARAMETER_GROUP_FAMILY,
  DBEngineDescription: 'PostgreSQL on a Rokka volume',
  DBEngineVersionDescription: `PostgreSQL ${ENGINE_VERSION}`,
  Status: 'available',
  SupportedEngineModes: ['provisioned'],
  SupportedFeatureNames: [],
  ValidUpgradeTarget: [],
  ExportableLogTypes: [],
  SupportsReadReplica: false,
  SupportsLogExportsToCloudwatchLogs: false,
  SupportsParallelQuery: false,
  SupportsGlobalDatabases: false,
  SupportsBabelfish: false,
  SupportsLimitlessDatabase: false,
  SupportsLocalWriteForwarding: false,
  SupportsIntegrations: false,
};

const FILTERS: FilterTable<DBEngineVersion> = {
  engine: ({ Engine }) => [Engine],
  'engine-version': ({ EngineVersion }) => [EngineVersion],
  'engine-mode': () => ['provisioned'],
  'db-parameter-group-family': ({ DBParameterGroupFamily }) => [DBParameterGroupFamily],
  status: ({ Status }) => [Status],
};

/** The one that there is. @throws InvalidParameterValue */
export const describeDBEngineVersions = (
  services: RdsServices,
): Operation<typeof DescribeDBEngineVersionsCommand> => ({
  async handle(input, call) {
    const { Engine, EngineVersion, DBParameterGroupFamily } = input;
    const isAsked =
      (!Engine || Engine === ENGINE) &&
      (!EngineVersion || isEngineVersion(EngineVersion)) &&
      (!DBParameterGroupFamily || DBParameterGroupFamily === PARAMETER_GROUP_FAMILY);
    const { items, Marker } = pageOf(services, {
      items: filtered(isAsked ? [VERSION] : [], input.Filters, FILTERS),
      keyOf: () => ENGINE_VERSION,
      input,
      scope: scopeOf(call),
      asked: ['engine-versions', Engine, EngineVersion, DBParameterGroupFamily],
    });
    return { DBEngineVersions: items, ...(Marker !== undefined && { Marker }) };
  },
});
