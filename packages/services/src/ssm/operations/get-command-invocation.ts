import type { GetCommandInvocationCommand } from '@aws-sdk/client-ssm';
import type { Operation, OutputOf } from '@rokka/gateway';
import { invocationDetails } from '../command-facts.ts';
import { findCommand } from '../command-lookup.ts';
import { stepsOf } from '../command-shapes.ts';
import { statusOf } from '../invocation-status.ts';
import type { SsmServices } from '../ssm-context.ts';
import { ssmFailures } from '../ssm-failures.ts';
import { demandBuilt, given, scopeOf } from '../ssm-inputs.ts';
import type { StepResult } from '../step-results.ts';

/**
 * With the output of one step: of the only one, or of the one that is named.
 * @throws InvalidCommandId, InvocationDoesNotExist, InvalidPluginName
 */
export const getCommandInvocation =
  (services: SsmServices): Operation<typeof GetCommandInvocationCommand> =>
  async (input, call) => {
    const scope = scopeOf(call);
    demandBuilt(input, ['CommandId', 'InstanceId', 'PluginName']);
    const id = given(input.InstanceId, 'InstanceId');
    const facts = await findCommand(services, scope, input.CommandId);
    const { command } = facts;
    const instance = command.instances.find((each) => each.id === id);
    if (!instance) throw ssmFailures.noInvocation(command.id, id);
    const details = invocationDetails(facts, instance);
    return {
      CommandId: command.id,
      InstanceId: id,
      Comment: command.comment,
      DocumentName: command.document.name,
      DocumentVersion: command.document.version,
      Status: statusOf(details),
      StatusDetails: details,
      StandardOutputUrl: '',
      StandardErrorUrl: '',
      CloudWatchOutputConfig: { CloudWatchLogGroupName: '', CloudWatchOutputEnabled: false },
      ...stepShape(named(stepsOf(facts, instance), input.PluginName)),
    };
  };

function named(steps: readonly StepResult[], name: string | undefined): StepResult {
  if (name === undefined && steps.length === 1) return steps[0];
  const names = steps.map((step) => step.name).join(', ');
  if (name === undefined)
    throw ssmFailures.pluginName(`The document has more than one step: PluginName is one of ${names}.`);
  const found = steps.find((step) => step.name === name);
  if (!found) throw ssmFailures.pluginName(`The document has no step ${name.slice(0, 64)}: it has ${names}.`);
  return found;
}

function stepShape(step: StepResult): OutputOf<typeof GetCommandInvocationCommand> {
  const { name, responseCode, stdout, stderr, startedAtMs, endedAtMs } = step;
  const isOver = startedAtMs !== undefined && endedAtMs !== undefined;
  return {
    PluginName: name,
    ResponseCode: responseCode,
    ExecutionStartDateTime: timeOf(startedAtMs),
    ExecutionElapsedTime: isOver ? `PT${Math.max(0, endedAtMs - startedAtMs) / 1000}S` : '',
    ExecutionEndDateTime: timeOf(endedAtMs),
    StandardOutputContent: stdout,
    StandardErrorContent: stderr,
  };
}

const timeOf = (atMs: number | undefined) => (atMs === undefined ? '' : new Date(atMs).toISOString());
