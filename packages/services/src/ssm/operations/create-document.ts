import type { CreateDocumentCommand } from '@aws-sdk/client-ssm';
import type { Operation } from '@rokka/gateway';
import { checkedNewName, DOCUMENTS_MAX, newVersion } from '../document-changes.ts';
import { descriptionShape } from '../document-shapes.ts';
import type { SsmServices } from '../ssm-context.ts';
import { ssmFailures } from '../ssm-failures.ts';
import { demandBuilt, given, scopeOf } from '../ssm-inputs.ts';
import { askForDocument } from '../ssm-permissions.ts';
import { type DocumentRecord, recordKeys, recordPrefixes } from '../ssm-records.ts';

/**
 * Its first version, which is the default.
 * @throws DocumentAlreadyExists, DocumentLimitExceeded, ValidationException, and what contents may not say
 */
export const createDocument = (services: SsmServices): Operation<typeof CreateDocumentCommand> => ({
  resources: ({ Name }, call) => [askForDocument(call, Name)],
  async handle(input, call) {
    const scope = scopeOf(call);
    const { store } = services;
    demandBuilt(input, ['Content', 'DocumentFormat', 'DocumentType', 'Name', 'VersionName']);
    if ((input.DocumentType ?? 'Command') !== 'Command')
      throw ssmFailures.invalid(
        `Documents of type ${input.DocumentType} are not supported here: use Command.`,
      );
    const name = checkedNewName(given(input.Name, 'Name'));
    const content = given(input.Content, 'Content');
    const version = newVersion(services, {
      content,
      format: input.DocumentFormat,
      versionName: input.VersionName,
    });
    if ((await store.list(recordPrefixes.documents(scope))).length >= DOCUMENTS_MAX)
      throw ssmFailures.documentLimit(`There are ${DOCUMENTS_MAX} documents, and no more are allowed.`);
    const record: DocumentRecord = {
      name,
      createdAtMs: version.createdAtMs,
      versions: [{ ...version, version: 1 }],
      made: 1,
      byDefault: 1,
    };
    await store.enter(scope);
    if (!(await store.create(recordKeys.document(scope, name), record)))
      throw ssmFailures.documentExists(name);
    const document = { ...record, isBuiltin: false };
    return { DocumentDescription: descriptionShape(scope, document, record.versions[0]) };
  },
});
