import type { UpdateDocumentDefaultVersionCommand } from '@aws-sdk/client-ssm';
import type { Operation } from '@rokka/gateway';
import { changeDocument } from '../document-changes.ts';
import { versionOf } from '../document-lookup.ts';
import type { SsmServices } from '../ssm-context.ts';
import { demandBuilt, given, scopeOf } from '../ssm-inputs.ts';
import { askForDocument } from '../ssm-permissions.ts';

/** @throws InvalidDocument, InvalidDocumentVersion, InvalidDocumentOperation */
export const updateDocumentDefaultVersion = (
  services: SsmServices,
): Operation<typeof UpdateDocumentDefaultVersionCommand> => ({
  resources: ({ Name }, call) => [askForDocument(call, Name)],
  async handle(input, call) {
    demandBuilt(input, ['DocumentVersion', 'Name']);
    const version = given(input.DocumentVersion, 'DocumentVersion');
    const document = await changeDocument(services, scopeOf(call), {
      text: given(input.Name, 'Name'),
      change: (found) => ({ ...found, byDefault: versionOf(found, { version }).version }),
    });
    const { versionName } = versionOf(document);
    return {
      Description: {
        Name: document.name,
        DefaultVersion: String(document.byDefault),
        ...(versionName !== undefined && { DefaultVersionName: versionName }),
      },
    };
  },
});
