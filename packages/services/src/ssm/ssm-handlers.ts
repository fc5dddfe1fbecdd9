/** Every operation of SSM that Rokka has, by the name that callers use. The others answer that they are not built. */
import type * as ssm from '@aws-sdk/client-ssm';
import type { Operations } from '@rokka/gateway';
import { cancelCommand } from './operations/cancel-command.ts';
import { createDocument } from './operations/create-document.ts';
import { deleteDocument } from './operations/delete-document.ts';
import { describeDocument } from './operations/describe-document.ts';
import { describeInstanceInformation } from './operations/describe-instance-information.ts';
import { getCommandInvocation } from './operations/get-command-invocation.ts';
import { getDocument } from './operations/get-document.ts';
import { listCommandInvocations } from './operations/list-command-invocations.ts';
import { listCommands } from './operations/list-commands.ts';
import { listDocuments } from './operations/list-documents.ts';
import { listDocumentVersions } from './operations/list-document-versions.ts';
import { sendCommand } from './operations/send-command.ts';
import { updateDocument } from './operations/update-document.ts';
import { updateDocumentDefaultVersion } from './operations/update-document-default-version.ts';
import type { SsmContext } from './ssm-context.ts';
import { ssmServicesOf } from './ssm-services.ts';

/** The table for `defineService`. */
export function ssmOperations(context: SsmContext) {
  const services = ssmServicesOf(context);
  return {
    CancelCommand: cancelCommand(services),
    CreateDocument: createDocument(services),
    DeleteDocument: deleteDocument(services),
    DescribeDocument: describeDocument(services),
    DescribeInstanceInformation: describeInstanceInformation(services),
    GetCommandInvocation: getCommandInvocation(services),
    GetDocument: getDocument(services),
    ListCommandInvocations: listCommandInvocations(services),
    ListCommands: listCommands(services),
    ListDocuments: listDocuments(services),
    ListDocumentVersions: listDocumentVersions(services),
    SendCommand: sendCommand(services),
    UpdateDocument: updateDocument(services),
    UpdateDocumentDefaultVersion: updateDocumentDefaultVersion(services),
  } satisfies Operations<typeof ssm>;
}
