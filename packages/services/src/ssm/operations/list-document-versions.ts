import type { ListDocumentVersionsCommand } from '@aws-sdk/client-ssm';
import type { Operation } from '@rokka/gateway';
import { findDocument } from '../document-lookup.ts';
import { versionShape } from '../document-shapes.ts';
import type { SsmServices } from '../ssm-context.ts';
import { demandBuilt, given, scopeOf } from '../ssm-inputs.ts';
import { pageOf } from '../ssm-lists.ts';
import { askForDocument } from '../ssm-permissions.ts';

const DIGITS = 9;

/** The first one first. @throws InvalidDocument, InvalidNextToken, ValidationException */
export const listDocumentVersions = (
  services: SsmServices,
): Operation<typeof ListDocumentVersionsCommand> => ({
  resources: ({ Name }, call) => [askForDocument(call, Name)],
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, ['MaxResults', 'Name', 'NextToken']);
    const document = await findDocument(services, scope, given(input.Name, 'Name'));
    const { items, NextToken } = pageOf(services, {
      items: document.versions,
      keyOf: ({ version }) => String(version).padStart(DIGITS, '0'),
      input,
      scope,
      asked: ['versions', document.name],
      limits: { min: 1, max: 50 },
    });
    return {
      DocumentVersions: items.map((version) => versionShape(document, version)),
      ...(NextToken !== undefined && { NextToken }),
    };
  },
});
