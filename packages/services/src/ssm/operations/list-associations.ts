import type { AssociationFilter, ListAssociationsCommand } from '@aws-sdk/client-ssm';
import type { Operation } from '@rokka/gateway';
import { associationFacts, listAssociations as associationsOf } from '../association-lookup.ts';
import { lastRunOf } from '../association-runs.ts';
import { type AssociationFacts, associationShape } from '../association-shapes.ts';
import { timeOf } from '../command-filters.ts';
import type { SsmInstance, SsmServices } from '../ssm-context.ts';
import { ssmFailures } from '../ssm-failures.ts';
import { demandBuilt, scopeOf } from '../ssm-inputs.ts';
import { pageOf } from '../ssm-lists.ts';
import { isAssociated, managedInstances } from '../targets.ts';

/** By id. @throws InvalidNextToken, ValidationException */
export const listAssociations =
  (services: SsmServices): Operation<typeof ListAssociationsCommand> =>
  async (input, call) => {
    const scope = scopeOf(call);
    demandBuilt(input, ['AssociationFilterList', 'MaxResults', 'NextToken']);
    const { AssociationFilterList: filters = [] } = input;
    const instances = filters.length === 0 ? [] : await managedInstances(services, scope);
    const all = await Promise.all(
      (await associationsOf(services, scope)).map((each) => associationFacts(services, scope, each)),
    );
    const { items, NextToken } = pageOf(services, {
      items: all.filter((facts) => filters.every((filter) => passes(facts, filter, instances))),
      keyOf: ({ association }) => association.id,
      input,
      scope,
      asked: ['associations', filters],
      limits: { min: 1, max: 50 },
    });
    return { Associations: items.map(associationShape), ...(NextToken !== undefined && { NextToken }) };
  };

function passes(
  { association, version, state }: AssociationFacts,
  { key, value = '' }: AssociationFilter,
  instances: readonly SsmInstance[],
): boolean {
  const lastAtMs = lastRunOf(association)?.takenAtMs;
  const name: string = key ?? '';
  switch (name) {
    case 'AssociationId':
      return association.id === value;
    case 'AssociationName':
      return version.name === value;
    case 'Name':
      return version.document === value;
    case 'AssociationStatusName':
      return (state?.status ?? 'Pending') === value;
    case 'InstanceId':
      return instances.some((each) => each.id === value && isAssociated(each, version.targets));
    case 'LastExecutedAfter':
      return lastAtMs !== undefined && lastAtMs >= timeOf(value);
    case 'LastExecutedBefore':
      return lastAtMs !== undefined && lastAtMs < timeOf(value);
    default:
      throw ssmFailures.invalid(`${name.slice(0, 64)} is no filter of this list.`);
  }
}
