import type { CancelCommandCommand } from '@aws-sdk/client-ssm';
import type { Operation } from '@rokka/gateway';
import { changeCommand } from '../command-closing.ts';
import { findCommand } from '../command-lookup.ts';
import { hasBegun } from '../invocation-status.ts';
import type { SsmServices } from '../ssm-context.ts';
import { ssmFailures } from '../ssm-failures.ts';
import { demandBuilt, scopeOf } from '../ssm-inputs.ts';
import type { CommandRecord } from '../ssm-records.ts';

/**
 * What has not begun never will. Agents are told of the rest, and end it as soon as they can.
 * @throws InvalidCommandId, InvalidInstanceId
 */
export const cancelCommand =
  (services: SsmServices): Operation<typeof CancelCommandCommand> =>
  async (input, call) => {
    const scope = scopeOf(call);
    demandBuilt(input, ['CommandId', 'InstanceIds']);
    const { InstanceIds: ids = [] } = input;
    const { command } = await findCommand(services, scope, input.CommandId);
    const unknown = ids.filter((id) => !command.instances.some((instance) => instance.id === id));
    if (unknown.length > 0) throw ssmFailures.notOfCommand(command.id, unknown);
    const atMs = services.clock.wallMs();
    await changeCommand(services.store, scope, {
      id: command.id,
      change: (found) => (found.finishedAtMs === undefined ? cancelled(found, { ids, atMs }) : found),
    });
    return {};
  };

/** @param of.ids all of them where there are none */
function cancelled(
  found: CommandRecord,
  { ids, atMs }: { ids: readonly string[]; atMs: number },
): CommandRecord {
  const those = found.instances
    .map(({ id }) => id)
    .filter((id) => ids.length === 0 || ids.includes(id))
    // What was closed has ended.
    .filter((id) => hasBegun(found, id) || !found.closed);
  const whole = ids.length === 0 ? { cancelledAtMs: found.cancelledAtMs ?? atMs } : {};
  return {
    ...found,
    ...whole,
    cancelled: { ...Object.fromEntries(those.map((id) => [id, atMs])), ...found.cancelled },
  };
}
