/** Commands by id, and all of them. */
import type { Scope } from '../scope.ts';
import { readOnline } from './agents.ts';
import { byInstance, type CommandFacts, readCommand } from './command-facts.ts';
import type { SsmServices } from './ssm-context.ts';
import { ssmFailures } from './ssm-failures.ts';
import { isCommandId } from './ssm-ids.ts';
import { type CommandRecord, type InvocationRecord, recordPrefixes } from './ssm-records.ts';

/** @throws InvalidCommandId */
export async function findCommand(
  services: SsmServices,
  scope: Scope,
  id: string | undefined,
): Promise<CommandFacts> {
  const online = await readOnline(services);
  const found = await readCommand({ ...services, online }, scope, checkedCommandId(id));
  if (!found) throw ssmFailures.commandId(id ?? '');
  return found;
}

/** @throws InvalidCommandId */
export function checkedCommandId(id = ''): string {
  if (!isCommandId(id)) throw ssmFailures.commandId(id);
  return id;
}

/** One, or all; none where there is no such one. @throws InvalidCommandId for what is no id */
export async function listCommands(
  services: SsmServices,
  scope: Scope,
  id: string | undefined,
): Promise<CommandFacts[]> {
  const online = await readOnline(services);
  if (id !== undefined) {
    const found = await readCommand({ ...services, online }, scope, checkedCommandId(id));
    return found ? [found] : [];
  }
  const commands = await services.store.list<CommandRecord>(recordPrefixes.commands(scope));
  const records = await services.store.list<InvocationRecord>(recordPrefixes.invocations(scope));
  const byCommand = Map.groupBy(records, ({ command }) => command);
  return commands.map((command) => ({
    command,
    invocations: byInstance(byCommand.get(command.id) ?? []),
    online,
  }));
}
