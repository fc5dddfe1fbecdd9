import type { GetDocumentCommand } from '@aws-sdk/client-ssm';
import type { Operation } from '@rokka/gateway';
import { findDocument, versionOf } from '../document-lookup.ts';
import { contentShape } from '../document-shapes.ts';
import type { SsmServices } from '../ssm-context.ts';
import { ssmFailures } from '../ssm-failures.ts';
import { demandBuilt, given, scopeOf } from '../ssm-inputs.ts';
import { askForDocument } from '../ssm-permissions.ts';

/** @throws InvalidDocument, InvalidDocumentVersion, ValidationException */
export const getDocument = (services: SsmServices): Operation<typeof GetDocumentCommand> => ({
  resources: ({ Name }, call) => [askForDocument(call, Name)],
  async handle(input, call) {
    demandBuilt(input, ['DocumentFormat', 'DocumentVersion', 'Name', 'VersionName']);
    if ((input.DocumentFormat ?? 'JSON') !== 'JSON')
      throw ssmFailures.invalid(`A document in ${input.DocumentFormat} is not supported here: ask for JSON.`);
    const document = await findDocument(services, scopeOf(call), given(input.Name, 'Name'));
    return contentShape(
      document,
      versionOf(document, { version: input.DocumentVersion, versionName: input.VersionName }),
    );
  },
});
