import type {
  AssociationExecutionTarget,
  AssociationExecutionTargetsFilter,
  DescribeAssociationExecutionTargetsCommand,
} from '@aws-sdk/client-ssm';
import type { Operation } from '@rokka/gateway';
import { readOnline } from '../agents.ts';
import { findAssociation } from '../association-lookup.ts';
import type { AssociationRun } from '../association-records.ts';
import { type CommandFacts, invocationDetails, readCommand } from '../command-facts.ts';
import { statusOf } from '../invocation-status.ts';
import type { SsmServices } from '../ssm-context.ts';
import { ssmFailures } from '../ssm-failures.ts';
import { demandBuilt, scopeOf } from '../ssm-inputs.ts';
import { pageOf } from '../ssm-lists.ts';
import { askForAssociation } from '../ssm-permissions.ts';

/** Each machine of it, as its command has it; none of one that sent none, or whose command was removed. */
export const describeAssociationExecutionTargets = (
  services: SsmServices,
): Operation<typeof DescribeAssociationExecutionTargetsCommand> => ({
  resources: ({ AssociationId }, call) => [askForAssociation(call, AssociationId)],
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, ['AssociationId', 'ExecutionId', 'Filters', 'MaxResults', 'NextToken']);
    const { ExecutionId = '', Filters = [] } = input;
    const { id, runs } = await findAssociation(services, scope, input.AssociationId);
    const run = runs.find((each) => each.id === ExecutionId);
    if (!run) throw ssmFailures.noExecution(id, ExecutionId);
    const of = { store: services.store, online: await readOnline(services) };
    const facts = await readCommand(of, scope, run.id);
    const { items, NextToken } = pageOf(services, {
      items: targetsOf(id, run, facts).filter((each) => Filters.every((filter) => passes(each, filter))),
      keyOf: ({ ResourceId = '' }) => ResourceId,
      input,
      scope,
      asked: ['execution targets', id, run.id, Filters],
      limits: { min: 1, max: 50 },
    });
    return { AssociationExecutionTargets: items, ...(NextToken !== undefined && { NextToken }) };
  },
});

/** In the order of their ids, as commands have them. */
const targetsOf = (
  association: string,
  run: AssociationRun,
  facts: CommandFacts | undefined,
): AssociationExecutionTarget[] =>
  (facts?.command.instances ?? []).map((instance) => {
    const details = facts && invocationDetails(facts, instance);
    return {
      AssociationId: association,
      AssociationVersion: String(run.version),
      ExecutionId: run.id,
      ResourceId: instance.id,
      ResourceType: 'ManagedInstance',
      ...(details && { Status: statusOf(details), DetailedStatus: details }),
      LastExecutionDate: new Date(run.takenAtMs),
      OutputSource: { OutputSourceId: run.id, OutputSourceType: 'RunCommand' },
    };
  });

function passes(
  { ResourceId, ResourceType, Status }: AssociationExecutionTarget,
  { Key, Value }: AssociationExecutionTargetsFilter,
): boolean {
  if (Key === 'ResourceId') return ResourceId === Value;
  if (Key === 'ResourceType') return ResourceType === Value;
  if (Key === 'Status') return Status === Value;
  throw ssmFailures.invalid(`${String(Key).slice(0, 64)} is no filter of this list.`);
}
