/** What an association may say, checked; all that its commands will need is looked at before it is there. */
import type { CreateAssociationCommand, UpdateAssociationCommand } from '@aws-sdk/client-ssm';
import type { InputOf } from '@rokka/gateway';
import type { StandIn } from '../iam/standing-rights.ts';
import type { Scope } from '../scope.ts';
import type { AssociationRecord, AssociationVersionRecord } from './association-records.ts';
import { commandFor } from './command-sending.ts';
import { isRate, whyNoSchedule } from './schedule-expression.ts';
import { documentName } from './ssm-arns.ts';
import type { SsmServices } from './ssm-context.ts';
import { ssmFailures } from './ssm-failures.ts';
import { demandBuilt, given } from './ssm-inputs.ts';
import { findAssociationTargets } from './targets.ts';

type Create = InputOf<typeof CreateAssociationCommand>;
type Update = InputOf<typeof UpdateAssociationCommand>;
/** Of both. */
export type AssociationInput = Omit<Update, 'AssociationId'> &
  Partial<Pick<Update, 'AssociationId'>> &
  Pick<Create, 'InstanceId'>;

const NAME = /^[a-zA-Z0-9_.-]{3,128}$/;
const SEVERITIES = ['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'UNSPECIFIED'];
const SCHEDULE_MAX = 256;

/**
 * @param of.version its number
 * @throws InvalidDocument, InvalidDocumentVersion, InvalidParameters, InvalidSchedule, ValidationException
 */
export async function checkedVersion(
  services: SsmServices,
  scope: Scope,
  of: { input: AssociationInput; version: number; standIn: StandIn },
): Promise<AssociationVersionRecord> {
  const { input, version, standIn } = of;
  demandMembers(input);
  const createdAtMs = services.clock.wallMs();
  const found = await findAssociationTargets(services, scope, input);
  const { AssociationName: name, DocumentVersion: documentVersion, ScheduleExpression } = input;
  if (name !== undefined && !NAME.test(name))
    throw ssmFailures.invalid('AssociationName has 3 to 128 letters, digits, dots, - and _.');
  const schedule = checkedSchedule(ScheduleExpression, createdAtMs);
  const made: AssociationVersionRecord = {
    version,
    createdAtMs,
    ...(name !== undefined && { name }),
    document: documentName(given(input.Name, 'Name'), scope),
    ...(documentVersion !== undefined && { documentVersion }),
    parameters: input.Parameters ?? {},
    targets: found.targets,
    ...(schedule !== undefined && { schedule }),
    isOnlyScheduled: checkedOnlyScheduled(input.ApplyOnlyAtCronInterval ?? false, schedule),
    ...(input.MaxConcurrency !== undefined && { maxConcurrency: input.MaxConcurrency }),
    ...(input.MaxErrors !== undefined && { maxErrors: input.MaxErrors }),
    severity: checkedSeverity(input.ComplianceSeverity),
    standIn,
  };
  await commandFor(services, scope, { input: commandInputOf(made), found });
  return made;
}

/** What its runs send. Unless it says otherwise all machines do it, and at once: one that fails keeps no other from it. */
export const commandInputOf = (version: AssociationVersionRecord, comment = '') => ({
  DocumentName: version.document,
  ...(version.documentVersion !== undefined && { DocumentVersion: version.documentVersion }),
  Parameters: Object.fromEntries(
    Object.entries(version.parameters).map(([name, values]) => [name, [...values]]),
  ),
  Comment: comment,
  MaxConcurrency: version.maxConcurrency ?? '100%',
  MaxErrors: version.maxErrors ?? '100%',
});

/** What an update leaves out is taken away, but for document and targets, without which there is no association. */
export const updated = (input: AssociationInput, { versions }: AssociationRecord): AssociationInput => {
  const last = versions[versions.length - 1];
  return {
    ...input,
    Name: input.Name ?? last.document,
    Targets: input.Targets ?? last.targets.map(({ key, values }) => ({ Key: key, Values: [...values] })),
  };
};

function demandMembers(input: AssociationInput): void {
  if (input.InstanceId !== undefined)
    throw ssmFailures.invalid(
      'InstanceId is for documents of schemaVersion 1, of which there are none: give Targets with Key=InstanceIds.',
    );
  if ((input.SyncCompliance ?? 'AUTO') !== 'AUTO')
    throw ssmFailures.invalid('SyncCompliance MANUAL is not supported here: leave it out.');
  demandBuilt(input, [
    'ApplyOnlyAtCronInterval',
    'AssociationId',
    'AssociationName',
    'AssociationVersion',
    'ComplianceSeverity',
    'DocumentVersion',
    'MaxConcurrency',
    'MaxErrors',
    'Name',
    'Parameters',
    'ScheduleExpression',
    'SyncCompliance',
    'Targets',
  ]);
}

function checkedSchedule(expression: string | undefined, nowMs: number): string | undefined {
  if (expression === undefined || expression === '') return undefined;
  const why =
    expression.length > SCHEDULE_MAX
      ? `has more than ${SCHEDULE_MAX} characters`
      : whyNoSchedule(expression, nowMs);
  if (why !== undefined) throw ssmFailures.schedule(`ScheduleExpression ${expression.slice(0, 64)} ${why}.`);
  return expression;
}

function checkedOnlyScheduled(isOnly: boolean, schedule: string | undefined): boolean {
  if (isOnly && schedule === undefined)
    throw ssmFailures.invalid('ApplyOnlyAtCronInterval needs a ScheduleExpression: it would never run.');
  if (isOnly && schedule !== undefined && isRate(schedule))
    throw ssmFailures.invalid('ApplyOnlyAtCronInterval is not for rate(…): use cron(…).');
  return isOnly;
}

function checkedSeverity(severity = 'UNSPECIFIED'): string {
  if (SEVERITIES.includes(severity)) return severity;
  throw ssmFailures.invalid(`ComplianceSeverity is one of ${SEVERITIES.join(', ')}.`);
}
