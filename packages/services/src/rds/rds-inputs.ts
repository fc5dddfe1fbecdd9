/**
 * What inputs may say. A member that is not carried out is refused, never dropped: whoever asks for encryption, a subnet or a
 * parameter group must not believe that he has it. What asks for nothing (`false`, 0, an empty list) is no request.
 */
import { DEFAULT_PARAMETER_GROUP, ENGINE, isEngineVersion } from './engine-versions.ts';
import { rdsFailures } from './rds-failures.ts';
import type { TagRules } from '../tags.ts';
import { isBackupWindow, isMaintenanceWindow } from './windows.ts';

const RETENTION_DAYS_MAX = 35;
const PORT_MIN = 1150;
const PORT_MAX = 65_535;
const PASSWORD = /^[!#-.0-?A-~]{8,128}$/;
/** What a role of PostgreSQL can be called without quotes, and is not called already. */
const USER = /^[a-z][a-z0-9_]{0,62}$/i;
const RESERVED = /^(pg_.*|rdsadmin|admin|public|none|current_user|session_user|user)$/i;
const DATABASE = /^[a-z][a-z0-9_]{0,62}$/i;
const RESERVED_DATABASES = ['postgres', 'template0', 'template1', 'rdsadmin'];

/** What may be said because it is so anyway. */
const ALREADY_SO: Readonly<Record<string, (value: unknown) => boolean>> = {
  EngineMode: (value) => value === 'provisioned',
  StorageType: (value) => value === 'aurora',
  NetworkType: (value) => value === 'IPV4',
  LicenseModel: (value) => value === 'postgresql-license',
  EngineLifecycleSupport: (value) => value === 'open-source-rds-extended-support-disabled',
  // There is one version: nothing to upgrade to. Answers say false.
  AutoMinorVersionUpgrade: (value) => value === true,
  DBClusterParameterGroupName: (value) => value === DEFAULT_PARAMETER_GROUP,
  DBParameterGroupName: (value) => value === DEFAULT_PARAMETER_GROUP,
};

/** @throws InvalidParameterCombination, and the faults of groups that there are none of */
export function demandBuilt<I extends object>(input: I, built: readonly (keyof I & string)[]): void {
  for (const [member, value] of Object.entries(input)) {
    if ((built as readonly string[]).includes(member) || asksNothing(value)) continue;
    if (ALREADY_SO[member]?.(value)) continue;
    if (member === 'DBSubnetGroupName') throw rdsFailures.noSubnetGroup(String(value));
    if (member === 'DBClusterParameterGroupName') throw rdsFailures.noClusterParameterGroup(String(value));
    if (member === 'DBParameterGroupName') throw rdsFailures.noParameterGroup(String(value));
    throw rdsFailures.combination(`${member} is not supported here with this value: leave it out.`);
  }
}

const asksNothing = (value: unknown) =>
  value === undefined || value === false || value === 0 || (Array.isArray(value) && value.length === 0);

/** @throws InvalidParameterValue, InvalidParameterCombination */
export function demandEngine(input: {
  Engine?: string | undefined;
  EngineVersion?: string | undefined;
}): void {
  if (input.Engine !== undefined && input.Engine !== ENGINE)
    throw rdsFailures.parameter(`Invalid DB engine: ${input.Engine.slice(0, 64)}. There is ${ENGINE} here.`);
  if (input.EngineVersion !== undefined && !isEngineVersion(input.EngineVersion))
    throw rdsFailures.combination(`Cannot find version ${input.EngineVersion.slice(0, 64)} for ${ENGINE}`);
}

/** What RDS says of tags. */
export const tagRules: TagRules = {
  keyMax: 128,
  invalid: rdsFailures.parameter,
  tooMany: rdsFailures.parameter,
};

/** @throws InvalidParameterValue */
export const checked = {
  retentionDays: (days: number) =>
    demand(days, Number.isInteger(days) && days >= 1 && days <= RETENTION_DAYS_MAX, () =>
      invalid('BackupRetentionPeriod', days, `it is 1 to ${RETENTION_DAYS_MAX} days`),
    ),
  port: (port: number) =>
    demand(port, Number.isInteger(port) && port >= PORT_MIN && port <= PORT_MAX, () =>
      invalid('Port', port, `it is ${PORT_MIN} to ${PORT_MAX}`),
    ),
  backupWindow: (window: string) =>
    demand(window, isBackupWindow(window), () =>
      invalid('PreferredBackupWindow', window, 'it is hh24:mi-hh24:mi in UTC, of 30 minutes at least'),
    ),
  maintenanceWindow: (window: string) =>
    demand(window.toLowerCase(), isMaintenanceWindow(window), () =>
      invalid(
        'PreferredMaintenanceWindow',
        window,
        'it is ddd:hh24:mi-ddd:hh24:mi in UTC, of 30 minutes to 24 hours',
      ),
    ),
  promotionTier: (tier: number) =>
    demand(tier, Number.isInteger(tier) && tier >= 0 && tier <= 15, () =>
      invalid('PromotionTier', tier, 'it is 0 to 15'),
    ),
  /** Never shown. */
  password: (password: string) =>
    demand(password, PASSWORD.test(password), () =>
      invalid(
        'MasterUserPassword',
        '…',
        'it has 8 to 128 printable ASCII characters, without / " @ and spaces',
      ),
    ),
  userName: (name: string) =>
    demand(name, USER.test(name) && !RESERVED.test(name), () =>
      invalid(
        'MasterUsername',
        name,
        'it is a letter and up to 62 letters, digits and underscores, and no reserved word',
      ),
    ),
  databaseName: (name: string) =>
    demand(name, DATABASE.test(name) && !RESERVED_DATABASES.includes(name), () =>
      invalid(
        'DatabaseName',
        name,
        'it is a letter and up to 62 letters, digits and underscores, and no reserved word',
      ),
    ),
};

/** @throws InvalidParameterValue where it is not there */
export function given<T>(value: T | undefined, member: string): T {
  if (value !== undefined && value !== '') return value;
  throw rdsFailures.parameter(`The parameter ${member} must be provided and must not be blank.`);
}

function demand<T>(value: T, isRight: boolean, error: () => Error): T {
  if (!isRight) throw error();
  return value;
}

const invalid = (member: string, value: string | number, why: string) =>
  rdsFailures.parameter(`Invalid ${member} ${String(value).slice(0, 64)}: ${why}.`);
