import type { ListAssociationVersionsCommand } from '@aws-sdk/client-ssm';
import type { Operation } from '@rokka/gateway';
import { findAssociation } from '../association-lookup.ts';
import { versionShape } from '../association-shapes.ts';
import type { SsmServices } from '../ssm-context.ts';
import { demandBuilt, scopeOf } from '../ssm-inputs.ts';
import { pageOf } from '../ssm-lists.ts';
import { askForAssociation } from '../ssm-permissions.ts';

const DIGITS = 9;

/** The first one first. @throws AssociationDoesNotExist, InvalidNextToken, ValidationException */
export const listAssociationVersions = (
  services: SsmServices,
): Operation<typeof ListAssociationVersionsCommand> => ({
  resources: ({ AssociationId }, call) => [askForAssociation(call, AssociationId)],
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, ['AssociationId', 'MaxResults', 'NextToken']);
    const { id, versions } = await findAssociation(services, scope, input.AssociationId);
    const { items, NextToken } = pageOf(services, {
      items: versions,
      keyOf: ({ version }) => String(version).padStart(DIGITS, '0'),
      input,
      scope,
      asked: ['association versions', id],
      limits: { min: 1, max: 50 },
    });
    return {
      AssociationVersions: items.map((version) => versionShape(id, version)),
      ...(NextToken !== undefined && { NextToken }),
    };
  },
});
