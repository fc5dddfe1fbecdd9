/** A call as CloudTrail writes it (CloudTrail User Guide, "CloudTrail record contents", version 1.11). */
import type { AuditRecord, Principal } from '@rokka/gateway';

/** Above it, CloudTrail leaves the parameters out. */
const PARAMETERS_BYTES_MAX = 102_400;
const RESOURCES_MAX = 20;

export interface TrailEvent {
  readonly eventId: string;
  readonly username: string | undefined;
  /** What the input names, for looking events up by it. */
  readonly resources: readonly string[];
  /** JSON. */
  readonly text: string;
}

export function trailEvent(record: AuditRecord, of: { account: string; eventId: string }): TrailEvent {
  const { eventId, account } = of;
  const username = usernameOf(record.principal);
  const event = {
    eventVersion: '1.11',
    userIdentity: identityOf(record, username),
    eventTime: isoSeconds(record.atMs),
    eventSource: record.eventSource,
    eventName: record.eventName,
    awsRegion: record.region,
    sourceIPAddress: record.sourceAddress,
    userAgent: record.userAgent,
    ...(record.errorCode !== undefined && { errorCode: record.errorCode }),
    ...(record.errorMessage !== undefined && { errorMessage: record.errorMessage }),
    requestParameters: parametersOf(record.request),
    responseElements: null,
    requestID: record.requestId,
    eventID: eventId,
    readOnly: record.readOnly,
    eventType: 'AwsApiCall',
    managementEvent: true,
    recipientAccountId: account,
    eventCategory: 'Management',
  };
  return { eventId, username, resources: resourcesOf(record.request), text: JSON.stringify(event) };
}

const isoSeconds = (ms: number) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

/** A user's name; of a role, its session's. */
function usernameOf(principal: Principal | undefined): string | undefined {
  return principal?.arn.slice(principal.arn.lastIndexOf('/') + 1);
}

function identityOf({ principal, accessKeyId }: AuditRecord, username: string | undefined): object {
  const key = accessKeyId === undefined ? {} : { accessKeyId };
  if (!principal) return { type: 'Unknown', ...key };
  const { account: accountId, arn, userId: principalId, kind } = principal;
  const common = { principalId, arn, accountId, ...key };
  if (kind === 'user') return { type: 'IAMUser', ...common, userName: username };
  const [, role] = /:assumed-role\/([^/]+)\//.exec(arn) ?? [];
  const issuer = { type: 'Role', principalId: principalId.split(':')[0], accountId, userName: role };
  return { type: 'AssumedRole', ...common, sessionContext: { sessionIssuer: issuer } };
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** CloudTrail begins the names of parameters with a small letter. Deeper ones may be a caller's own, and stay. */
function parametersOf(request: unknown): unknown {
  if (!isRecord(request)) return null;
  const entries = Object.entries(request).map(([name, value]) => [
    name.slice(0, 1).toLowerCase() + name.slice(1),
    value,
  ]);
  if (entries.length === 0) return null;
  const parameters = Object.fromEntries(entries) as unknown;
  const fits = Buffer.byteLength(JSON.stringify(parameters)) <= PARAMETERS_BYTES_MAX;
  return fits ? parameters : { omitted: true, reason: 'requestParameters too large' };
}

/** They end like names of things, and name none. */
const NO_RESOURCES = new Set(['ExternalId', 'RoleSessionName', 'VersionId']);

/** Texts of the input whose names say that they name something. */
function resourcesOf(request: unknown): string[] {
  if (!isRecord(request)) return [];
  const found = Object.entries(request)
    .filter(([name]) => /(Name|Identifier|Id|Arn|ARN|Names|Identifiers|Ids|Arns)$/.test(name))
    .filter(([name]) => !NO_RESOURCES.has(name))
    .flatMap(([, value]) => value)
    .filter(
      (value): value is string => typeof value === 'string' && value.length > 0 && value.length <= 2048,
    );
  return [...new Set(found)].slice(0, RESOURCES_MAX);
}
