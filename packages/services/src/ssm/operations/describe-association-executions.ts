import type { AssociationExecutionFilter, DescribeAssociationExecutionsCommand } from '@aws-sdk/client-ssm';
import type { Operation } from '@rokka/gateway';
import { findAssociation, runState } from '../association-lookup.ts';
import type { AssociationRun, RunState } from '../association-records.ts';
import { executionShape } from '../association-shapes.ts';
import { readOnline } from '../agents.ts';
import { timeOf } from '../command-filters.ts';
import type { SsmServices } from '../ssm-context.ts';
import { ssmFailures } from '../ssm-failures.ts';
import { demandBuilt, scopeOf } from '../ssm-inputs.ts';
import { newestFirst, pageOf } from '../ssm-lists.ts';
import { askForAssociation } from '../ssm-permissions.ts';

/** The newest first. @throws AssociationDoesNotExist, InvalidNextToken, ValidationException */
export const describeAssociationExecutions = (
  services: SsmServices,
): Operation<typeof DescribeAssociationExecutionsCommand> => ({
  resources: ({ AssociationId }, call) => [askForAssociation(call, AssociationId)],
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, ['AssociationId', 'Filters', 'MaxResults', 'NextToken']);
    const { Filters = [] } = input;
    const { id, runs } = await findAssociation(services, scope, input.AssociationId);
    const of = { store: services.store, online: await readOnline(services) };
    const all = await Promise.all(
      runs.map(async (run) => ({ run, state: await runState(of, scope, run), key: keyOf(run) })),
    );
    const { items, NextToken } = pageOf(services, {
      items: all
        .filter((each) => Filters.every((filter) => passes(each, filter)))
        .sort((a, b) => (a.key < b.key ? -1 : 1)),
      keyOf: ({ key }) => key,
      input,
      scope,
      asked: ['executions', id, Filters],
      limits: { min: 1, max: 50 },
    });
    return {
      AssociationExecutions: items.map(({ run, state }) => executionShape(id, run, state)),
      ...(NextToken !== undefined && { NextToken }),
    };
  },
});

const keyOf = ({ takenAtMs, id }: AssociationRun) => newestFirst(takenAtMs, id);

function passes(
  { run, state }: { run: AssociationRun; state: RunState },
  { Key, Value = '', Type = 'EQUAL' }: AssociationExecutionFilter,
): boolean {
  if (Key === 'CreatedTime') {
    const atMs = timeOf(Value);
    if (Type === 'EQUAL') return run.takenAtMs === atMs;
    return Type === 'LESS_THAN' ? run.takenAtMs < atMs : run.takenAtMs > atMs;
  }
  if (Type !== 'EQUAL') throw ssmFailures.invalid(`The filter ${String(Key).slice(0, 64)} is EQUAL alone.`);
  if (Key === 'ExecutionId') return run.id === Value;
  if (Key === 'Status') return state.status === Value;
  throw ssmFailures.invalid(`${String(Key).slice(0, 64)} is no filter of this list.`);
}
