import type { UpdateDocumentCommand } from '@aws-sdk/client-ssm';
import type { Operation } from '@rokka/gateway';
import { changeDocument, newVersion, withVersion } from '../document-changes.ts';
import { latestOf, versionOf } from '../document-lookup.ts';
import { descriptionShape } from '../document-shapes.ts';
import type { SsmServices } from '../ssm-context.ts';
import { ssmFailures } from '../ssm-failures.ts';
import { demandBuilt, given, scopeOf } from '../ssm-inputs.ts';
import { askForDocument } from '../ssm-permissions.ts';

/**
 * One more version, made of the latest one. The default stays what it is.
 * @throws InvalidDocument, InvalidDocumentVersion, InvalidDocumentOperation, DuplicateDocumentContent, DuplicateDocumentVersionName,
 * DocumentVersionLimitExceeded, and what contents may not say
 */
export const updateDocument = (services: SsmServices): Operation<typeof UpdateDocumentCommand> => ({
  resources: ({ Name }, call) => [askForDocument(call, Name)],
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, ['Content', 'DocumentFormat', 'DocumentVersion', 'Name', 'VersionName']);
    const { DocumentVersion: base = '$LATEST' } = input;
    const content = given(input.Content, 'Content');
    const added = newVersion(services, {
      content,
      format: input.DocumentFormat,
      versionName: input.VersionName,
    });
    const document = await changeDocument(services, scope, {
      text: given(input.Name, 'Name'),
      change(found) {
        if (versionOf(found, { version: base }) !== latestOf(found))
          throw ssmFailures.documentVersion(
            `Version ${base} of ${found.name} is not its latest one, which alone can be updated.`,
          );
        return withVersion(found, added);
      },
    });
    return { DocumentDescription: descriptionShape(scope, document, latestOf(document)) };
  },
});
