/** Associations, their versions and executions, as answers show them. */
import type {
  Association,
  AssociationComplianceSeverity,
  AssociationDescription,
  AssociationExecution,
  AssociationVersionInfo,
} from '@aws-sdk/client-ssm';
import type {
  AssociationRecord,
  AssociationRun,
  AssociationVersionRecord,
  RunState,
} from './association-records.ts';
import { lastRunOf } from './association-runs.ts';

/** An association as it is at a moment. */
export interface AssociationFacts {
  readonly association: AssociationRecord;
  readonly version: AssociationVersionRecord;
  /** Of its last run; undefined where there was none. */
  readonly state: RunState | undefined;
}

const sharedShape = ({
  version,
  name,
  document,
  targets,
  schedule,
  documentVersion,
}: AssociationVersionRecord) => ({
  Name: document,
  AssociationVersion: String(version),
  DocumentVersion: documentVersion ?? '$DEFAULT',
  Targets: targets.map(({ key, values }) => ({ Key: key, Values: [...values] })),
  ...(schedule !== undefined && { ScheduleExpression: schedule }),
  ...(name !== undefined && { AssociationName: name }),
});

const settingsShape = (version: AssociationVersionRecord) => ({
  ...sharedShape(version),
  Parameters: Object.fromEntries(
    Object.entries(version.parameters).map(([name, values]) => [name, [...values]]),
  ),
  ...(version.maxConcurrency !== undefined && { MaxConcurrency: version.maxConcurrency }),
  ...(version.maxErrors !== undefined && { MaxErrors: version.maxErrors }),
  ComplianceSeverity: version.severity as AssociationComplianceSeverity,
  SyncCompliance: 'AUTO' as const,
  ApplyOnlyAtCronInterval: version.isOnlyScheduled,
});

export function descriptionShape(facts: AssociationFacts): AssociationDescription {
  const { association, version, state } = facts;
  const { id, createdAtMs, versions } = association;
  const run = lastRunOf(association);
  // Its command may have gone well a moment before the run ends.
  const succeededAtMs = state?.status === 'Success' ? run?.takenAtMs : association.succeededAtMs;
  return {
    AssociationId: id,
    ...settingsShape(version),
    Date: new Date(createdAtMs),
    LastUpdateAssociationDate: new Date(versions[versions.length - 1].createdAtMs),
    ...lastShape(facts),
    ...(succeededAtMs !== undefined && { LastSuccessfulExecutionDate: new Date(succeededAtMs) }),
    ...saidShape(run, state),
  };
}

export const associationShape = (facts: AssociationFacts): Association => ({
  AssociationId: facts.association.id,
  ...sharedShape(facts.version),
  ...lastShape(facts),
});

export const versionShape = (id: string, version: AssociationVersionRecord): AssociationVersionInfo => ({
  AssociationId: id,
  ...settingsShape(version),
  CreatedDate: new Date(version.createdAtMs),
});

export function executionShape(
  association: string,
  { id, version, takenAtMs }: AssociationRun,
  { status, details, counts }: RunState,
): AssociationExecution {
  const all = Object.entries(counts).map(([name, count]) => `${name}=${count}`);
  return {
    AssociationId: association,
    AssociationVersion: String(version),
    ExecutionId: id,
    Status: status,
    DetailedStatus: details,
    CreatedTime: new Date(takenAtMs),
    ...(status !== 'Skipped' && { LastExecutionDate: new Date(takenAtMs) }),
    ResourceCountByStatus: `{${all.join(', ')}}`,
  };
}

/** What has not run is pending, as AWS has it. */
function lastShape({ association, state }: AssociationFacts) {
  const run = lastRunOf(association);
  const { status, details, counts } = state ?? { status: 'Pending', details: 'Creating', counts: {} };
  return {
    Overview: {
      Status: status,
      DetailedStatus: details,
      AssociationStatusAggregatedCount: { ...counts },
    },
    ...(run && { LastExecutionDate: new Date(run.takenAtMs) }),
  };
}

/** Why the last one came to nothing. AWS has it of associations of single instances. */
function saidShape(
  run: AssociationRun | undefined,
  state: RunState | undefined,
): Pick<AssociationDescription, 'Status'> {
  if (!run || state?.status !== 'Failed') return {};
  const atMs = run.end?.atMs ?? run.takenAtMs;
  return { Status: { Date: new Date(atMs), Name: 'Failed', Message: state.why ?? '' } };
}
