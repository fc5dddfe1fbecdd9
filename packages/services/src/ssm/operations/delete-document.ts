import type { DeleteDocumentCommand } from '@aws-sdk/client-ssm';
import type { Operation } from '@rokka/gateway';
import { changeDocument, withoutVersion } from '../document-changes.ts';
import { versionOf } from '../document-lookup.ts';
import type { SsmServices } from '../ssm-context.ts';
import { demandBuilt, given, scopeOf } from '../ssm-inputs.ts';
import { askForDocument } from '../ssm-permissions.ts';

/**
 * All of it, or the version that is named. Commands that were sent have what they need.
 * @throws InvalidDocument, InvalidDocumentVersion, InvalidDocumentOperation
 */
export const deleteDocument = (services: SsmServices): Operation<typeof DeleteDocumentCommand> => ({
  resources: ({ Name }, call) => [askForDocument(call, Name)],
  async handle(input, call) {
    demandBuilt(input, ['DocumentVersion', 'Force', 'Name', 'VersionName']);
    const { DocumentVersion: version, VersionName: versionName } = input;
    const isWhole = version === undefined && versionName === undefined;
    await changeDocument(services, scopeOf(call), {
      text: given(input.Name, 'Name'),
      change: (found) =>
        isWhole ? undefined : withoutVersion(found, versionOf(found, { version, versionName }).version),
    });
    return {};
  },
});
