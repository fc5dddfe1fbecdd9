import type { ListCommandInvocationsCommand } from '@aws-sdk/client-ssm';
import type { Operation } from '@rokka/gateway';
import { type CommandFacts, invocationDetails } from '../command-facts.ts';
import { type Filtered, passes } from '../command-filters.ts';
import { listCommands } from '../command-lookup.ts';
import { invocationShape } from '../command-shapes.ts';
import { statusOf } from '../invocation-status.ts';
import type { SsmServices } from '../ssm-context.ts';
import { demandBuilt, scopeOf } from '../ssm-inputs.ts';
import { newestFirst, pageOf } from '../ssm-lists.ts';
import type { CommandInstance } from '../ssm-records.ts';

/** Those of the newest command first. @throws InvalidCommandId, InvalidFilterKey, InvalidNextToken, ValidationException */
export const listCommandInvocations =
  (services: SsmServices): Operation<typeof ListCommandInvocationsCommand> =>
  async (input, call) => {
    const scope = scopeOf(call);
    demandBuilt(input, ['CommandId', 'Details', 'Filters', 'InstanceId', 'MaxResults', 'NextToken']);
    const { CommandId, InstanceId, Filters, Details = false } = input;
    const all = await listCommands(services, scope, CommandId);
    const items = all
      .flatMap((facts) => facts.command.instances.map((instance) => ({ facts, instance })))
      .filter(({ instance }) => InstanceId === undefined || instance.id === InstanceId)
      .filter((each) => passes(filtered(each), Filters))
      .map((each) => ({ key: keyOf(each), ...each }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
    const page = pageOf(services, {
      items,
      keyOf: ({ key }) => key,
      input,
      scope,
      asked: ['invocations', CommandId, InstanceId, Details, Filters],
      limits: { min: 1, max: 50 },
    });
    return {
      CommandInvocations: page.items.map(({ facts, instance }) => invocationShape(facts, instance, Details)),
      ...(page.NextToken !== undefined && { NextToken: page.NextToken }),
    };
  };

interface Each {
  readonly facts: CommandFacts;
  readonly instance: CommandInstance;
}

const keyOf = ({ facts: { command }, instance }: Each) =>
  `${newestFirst(command.requestedAtMs, command.id)}/${instance.id}`;

function filtered({ facts, instance }: Each): Filtered {
  const details = invocationDetails(facts, instance);
  const { requestedAtMs: atMs, document } = facts.command;
  return { atMs, status: statusOf(details), details, document: document.name, isFinished: undefined };
}
