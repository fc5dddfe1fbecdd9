/** Every operation of SSM that Rokka has, by the name that callers use. The others answer that they are not built. */
import type * as ssm from '@aws-sdk/client-ssm';
import type { Operations } from '@rokka/gateway';
import { cancelCommand } from './operations/cancel-command.ts';
import { createAssociationBatch } from './operations/create-association-batch.ts';
import { createAssociation } from './operations/create-association.ts';
import { createDocument } from './operations/create-document.ts';
import { deleteAssociation } from './operations/delete-association.ts';
import { deleteDocument } from './operations/delete-document.ts';
import { describeAssociationExecutionTargets } from './operations/describe-association-execution-targets.ts';
import { describeAssociationExecutions } from './operations/describe-association-executions.ts';
import { describeAssociation } from './operations/describe-association.ts';
import { describeDocument } from './operations/describe-document.ts';
import { describeInstanceInformation } from './operations/describe-instance-information.ts';
import { getCommandInvocation } from './operations/get-command-invocation.ts';
import { getDocument } from './operations/get-document.ts';
import { listAssociationVersions } from './operations/list-association-versions.ts';
import { listAssociations } from './operations/list-associations.ts';
import { listCommandInvocations } from './operations/list-command-invocations.ts';
import { listCommands } from './operations/list-commands.ts';
import { listDocumentVersions } from './operations/list-document-versions.ts';
import { listDocuments } from './operations/list-documents.ts';
import { sendCommand } from './operations/send-command.ts';
import { startAssociationsOnce } from './operations/start-associations-once.ts';
import { updateAssociation } from './operations/update-association.ts';
import { updateDocumentDefaultVersion } from './operations/update-document-default-version.ts';
import { updateDocument } from './operations/update-document.ts';
import type { SsmContext } from './ssm-context.ts';
import { ssmServicesOf } from './ssm-services.ts';

/** The table for `defineService`. */
export function ssmOperations(context: SsmContext) {
  const services = ssmServicesOf(context);
  return {
    CancelCommand: cancelCommand(services),
    CreateAssociation: createAssociation(services),
    CreateAssociationBatch: createAssociationBatch(services),
    CreateDocument: createDocument(services),
    DeleteAssociation: deleteAssociation(services),
    DeleteDocument: deleteDocument(services),
    DescribeAssociation: describeAssociation(services),
    DescribeAssociationExecutionTargets: describeAssociationExecutionTargets(services),
    DescribeAssociationExecutions: describeAssociationExecutions(services),
    DescribeDocument: describeDocument(services),
    DescribeInstanceInformation: describeInstanceInformation(services),
    GetCommandInvocation: getCommandInvocation(services),
    GetDocument: getDocument(services),
    ListAssociationVersions: listAssociationVersions(services),
    ListAssociations: listAssociations(services),
    ListCommandInvocations: listCommandInvocations(services),
    ListCommands: listCommands(services),
    ListDocumentVersions: listDocumentVersions(services),
    ListDocuments: listDocuments(services),
    SendCommand: sendCommand(services),
    StartAssociationsOnce: startAssociationsOnce(services),
    UpdateAssociation: updateAssociation(services),
    UpdateDocument: updateDocument(services),
    UpdateDocumentDefaultVersion: updateDocumentDefaultVersion(services),
  } satisfies Operations<typeof ssm>;
}
