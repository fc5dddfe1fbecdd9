/** Commands and invocations, as answers show them. */
import type { Command, CommandInvocation, CommandPlugin } from '@aws-sdk/client-ssm';
import { type CommandFacts, expiresAtMs, invocationDetails, stateOf } from './command-facts.ts';
import { isEnd, statusOf } from './invocation-status.ts';
import type { CommandInstance, CommandRecord } from './ssm-records.ts';
import type { StepResult, StepStatus } from './step-results.ts';

/** Of a plugin's output in a list. */
const OUTPUT_MAX = 2500;
const ERROR_LINE = '\n----------ERROR-------\n';
/** What is not asked for here. */
const NOTHING_ELSE = {
  ServiceRole: '',
  NotificationConfig: { NotificationArn: '', NotificationEvents: [], NotificationType: undefined },
  CloudWatchOutputConfig: { CloudWatchLogGroupName: '', CloudWatchOutputEnabled: false },
};

const sentFacts = (command: CommandRecord) => ({
  CommandId: command.id,
  DocumentName: command.document.name,
  DocumentVersion: command.document.version,
  Comment: command.comment,
  RequestedDateTime: new Date(command.requestedAtMs),
});

export function commandShape(facts: CommandFacts): Command {
  const { command } = facts;
  const state = stateOf(facts);
  return {
    ...sentFacts(command),
    ...NOTHING_ELSE,
    ExpiresAfter: new Date(expiresAtMs(command)),
    Parameters: Object.fromEntries(Object.entries(command.parameters).map(([name, of]) => [name, [...of]])),
    InstanceIds: [...command.instanceIds],
    Targets: command.targets.map(({ key, values }) => ({ Key: key, Values: [...values] })),
    Status: state.status,
    StatusDetails: state.details,
    OutputS3BucketName: '',
    OutputS3KeyPrefix: '',
    MaxConcurrency: command.maxConcurrency,
    MaxErrors: command.maxErrors,
    TargetCount: state.targetCount,
    CompletedCount: state.completedCount,
    ErrorCount: state.errorCount,
    DeliveryTimedOutCount: state.deliveryTimedOutCount,
    TimeoutSeconds: command.deliverySeconds,
  };
}

export function invocationShape(
  facts: CommandFacts,
  instance: CommandInstance,
  withPlugins: boolean,
): CommandInvocation {
  const details = invocationDetails(facts, instance);
  return {
    ...sentFacts(facts.command),
    ...NOTHING_ELSE,
    InstanceId: instance.id,
    InstanceName: '',
    Status: statusOf(details),
    StatusDetails: details,
    StandardOutputUrl: '',
    StandardErrorUrl: '',
    CommandPlugins: withPlugins ? stepsOf(facts, instance).map(pluginShape) : [],
  };
}

/** What was not reported has not begun; what was not over at the end has ended as the invocation has. */
export function stepsOf(facts: CommandFacts, instance: CommandInstance): StepResult[] {
  const details = invocationDetails(facts, instance);
  const ended = isEnd(details) ? { status: statusOf(details) as StepStatus, statusDetails: details } : {};
  const reported = facts.invocations.get(instance.id)?.steps ?? [];
  return facts.command.document.steps.map(({ name, action }) => {
    const step = reported.find((each) => each.name === name) ?? { ...NOT_BEGUN, name, action };
    return OPEN.includes(step.status) ? { ...step, ...ended } : step;
  });
}

const OPEN: readonly StepStatus[] = ['Pending', 'InProgress'];
const NOT_BEGUN = {
  status: 'Pending',
  statusDetails: 'Pending',
  responseCode: -1,
  stdout: '',
  stderr: '',
} as const;

function pluginShape(step: StepResult): CommandPlugin {
  const { name, status, statusDetails, responseCode, startedAtMs, endedAtMs } = step;
  return {
    Name: name,
    Status: status,
    StatusDetails: statusDetails,
    ResponseCode: responseCode,
    ...(startedAtMs !== undefined && { ResponseStartDateTime: new Date(startedAtMs) }),
    ...(endedAtMs !== undefined && { ResponseFinishDateTime: new Date(endedAtMs) }),
    Output: outputOf(step),
    StandardOutputUrl: '',
    StandardErrorUrl: '',
    OutputS3BucketName: '',
    OutputS3KeyPrefix: '',
  };
}

const outputOf = ({ stdout, stderr }: StepResult) =>
  (stderr === '' ? stdout : stdout + ERROR_LINE + stderr).slice(0, OUTPUT_MAX);
