import type { ListDocumentsCommand } from '@aws-sdk/client-ssm';
import type { InputOf, Operation } from '@rokka/gateway';
import type { Scope } from '../../scope.ts';
import { type Document, listDocuments as documentsOf, versionOf } from '../document-lookup.ts';
import { identifierShape } from '../document-shapes.ts';
import type { SsmServices } from '../ssm-context.ts';
import { ssmFailures } from '../ssm-failures.ts';
import { demandBuilt, scopeOf } from '../ssm-inputs.ts';
import { pageOf } from '../ssm-lists.ts';

interface ListFilter {
  readonly key: string;
  readonly values: readonly string[];
}

/** One's own and Amazon's, by name. @throws InvalidFilterKey, InvalidNextToken, ValidationException */
export const listDocuments =
  (services: SsmServices): Operation<typeof ListDocumentsCommand> =>
  async (input, call) => {
    const scope = scopeOf(call);
    demandBuilt(input, ['DocumentFilterList', 'Filters', 'MaxResults', 'NextToken']);
    const filters = filtersOf(input);
    const all = await documentsOf(services, scope);
    const { items, NextToken } = pageOf(services, {
      items: all.filter((document) => filters.every((filter) => passes(scope, document, filter))),
      keyOf: ({ name }) => name,
      input,
      scope,
      asked: ['documents', filters],
      limits: { min: 1, max: 50 },
    });
    return {
      DocumentIdentifiers: items.map((document) => identifierShape(scope, document, versionOf(document))),
      ...(NextToken !== undefined && { NextToken }),
    };
  };

function filtersOf(input: InputOf<typeof ListDocumentsCommand>): ListFilter[] {
  const { Filters = [], DocumentFilterList: older = [] } = input;
  const filters = [
    ...Filters.map(({ Key = '', Values = [] }) => ({ key: Key, values: Values })),
    ...older.map(({ key = '', value = '' }) => ({ key, values: [value] })),
  ];
  for (const { key, values } of filters)
    if (values.length === 0) throw ssmFailures.invalid(`The filter ${key.slice(0, 64)} needs a value.`);
  return filters;
}

function passes({ account }: Scope, { name, isBuiltin }: Document, { key, values }: ListFilter): boolean {
  switch (key) {
    case 'Owner':
      return values.some((owner) => isOwnedBy(owner, account, isBuiltin));
    case 'Name':
      // The beginning of it, as AWS has it.
      return values.some((start) => name.startsWith(start));
    case 'PlatformTypes':
      return values.includes('Linux');
    case 'DocumentType':
      return values.includes('Command');
    default:
      throw ssmFailures.filterKey(key);
  }
}

/** `ThirdParty` and accounts that nothing is shared with own nothing here. */
function isOwnedBy(owner: string, account: string, isBuiltin: boolean): boolean {
  if (owner === 'All' || owner === 'Public') return owner === 'All' || isBuiltin;
  return isBuiltin ? owner === 'Amazon' : owner === 'Self' || owner === 'Private' || owner === account;
}
