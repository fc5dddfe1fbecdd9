import type { DescribeDocumentCommand } from '@aws-sdk/client-ssm';
import type { Operation } from '@rokka/gateway';
import { findDocument, versionOf } from '../document-lookup.ts';
import { descriptionShape } from '../document-shapes.ts';
import type { SsmServices } from '../ssm-context.ts';
import { demandBuilt, given, scopeOf } from '../ssm-inputs.ts';
import { askForDocument } from '../ssm-permissions.ts';

/** @throws InvalidDocument, InvalidDocumentVersion */
export const describeDocument = (services: SsmServices): Operation<typeof DescribeDocumentCommand> => ({
  resources: ({ Name }, call) => [askForDocument(call, Name)],
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, ['DocumentVersion', 'Name', 'VersionName']);
    const document = await findDocument(services, scope, given(input.Name, 'Name'));
    const version = versionOf(document, { version: input.DocumentVersion, versionName: input.VersionName });
    return { Document: descriptionShape(scope, document, version) };
  },
});
