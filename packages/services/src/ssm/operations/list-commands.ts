import type { ListCommandsCommand } from '@aws-sdk/client-ssm';
import type { Operation } from '@rokka/gateway';
import { type CommandFacts, isFinished, stateOf } from '../command-facts.ts';
import { type Filtered, passes } from '../command-filters.ts';
import { listCommands as commandsOf } from '../command-lookup.ts';
import { commandShape } from '../command-shapes.ts';
import type { SsmServices } from '../ssm-context.ts';
import { demandBuilt, scopeOf } from '../ssm-inputs.ts';
import { newestFirst, pageOf } from '../ssm-lists.ts';

/** The newest first. @throws InvalidCommandId, InvalidFilterKey, InvalidNextToken, ValidationException */
export const listCommands =
  (services: SsmServices): Operation<typeof ListCommandsCommand> =>
  async (input, call) => {
    const scope = scopeOf(call);
    demandBuilt(input, ['CommandId', 'Filters', 'InstanceId', 'MaxResults', 'NextToken']);
    const { CommandId, InstanceId, Filters } = input;
    const all = await commandsOf(services, scope, CommandId);
    const items = all
      .filter(
        ({ command }) => InstanceId === undefined || command.instances.some(({ id }) => id === InstanceId),
      )
      .filter((facts) => passes(filtered(facts), Filters))
      .map((facts) => ({ key: newestFirst(facts.command.requestedAtMs, facts.command.id), facts }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    const page = pageOf(services, {
      items,
      keyOf: ({ key }) => key,
      input,
      scope,
      asked: ['commands', CommandId, InstanceId, Filters],
      limits: { min: 1, max: 50 },
    });
    return {
      Commands: page.items.map(({ facts }) => commandShape(facts)),
      ...(page.NextToken !== undefined && { NextToken: page.NextToken }),
    };
  };

function filtered(facts: CommandFacts): Filtered {
  const { status, details } = stateOf(facts);
  const { requestedAtMs: atMs, document } = facts.command;
  return { atMs, status, details, document: document.name, isFinished: isFinished(facts) };
}
