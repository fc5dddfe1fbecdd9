/** What goes wrong in SSM, as the exceptions that its clients know, mostly in AWS's own words. */
import {
  AssociationDoesNotExist,
  AssociationExecutionDoesNotExist,
  AssociationVersionLimitExceeded,
  DocumentAlreadyExists,
  DocumentLimitExceeded,
  DocumentVersionLimitExceeded,
  DuplicateDocumentContent,
  DuplicateDocumentVersionName,
  InvalidAssociationVersion,
  InvalidDocument,
  InvalidDocumentContent,
  InvalidDocumentOperation,
  InvalidDocumentSchemaVersion,
  InvalidDocumentVersion,
  InvalidInstanceId,
  InvalidInstanceInformationFilterValue,
  InvalidNextToken,
  InvalidParameters,
  InvalidSchedule,
  MaxDocumentSizeExceeded,
} from '@aws-sdk/client-ssm';
import { AwsError } from '@rokka/gateway';

/**
 * Most of them have a member `Message` of their own. Those that have none would be told without a reason, so they are plain errors
 * of the same code: clients make the same exceptions of them.
 */
const said = (message: string) => ({ Message: message, message, $metadata: {} });
const shown = (text: string) => text.slice(0, 200);

export const ssmFailures = {
  document: (why: string) => new InvalidDocument(said(why)),
  noDocument: (name: string) =>
    new InvalidDocument(said(`Document with name ${shown(name)} does not exist.`)),
  documentExists: (name: string) =>
    new DocumentAlreadyExists(said(`Document with same name ${name} already exists`)),
  documentContent: (why: string) => new InvalidDocumentContent(said(why)),
  documentSchema: (why: string) => new InvalidDocumentSchemaVersion(said(why)),
  documentSize: (why: string) => new MaxDocumentSizeExceeded(said(why)),
  documentVersion: (why: string) => new InvalidDocumentVersion(said(why)),
  documentOperation: (why: string) => new InvalidDocumentOperation(said(why)),
  documentLimit: (why: string) => new DocumentLimitExceeded(said(why)),
  versionLimit: (why: string) => new DocumentVersionLimitExceeded(said(why)),
  sameContent: () =>
    new DuplicateDocumentContent(
      said('The content of the document is that of its latest version: change it and try again.'),
    ),
  versionNameTaken: (name: string) =>
    new DuplicateDocumentVersionName(said(`The version name ${shown(name)} was used already.`)),
  parameters: (why: string) => new InvalidParameters(said(why)),
  noInstances: (ids: readonly string[]) =>
    new InvalidInstanceId(
      said(
        `Instances [[${shown(ids.join(', '))}]] not in a valid state for account: no agent has registered there.`,
      ),
    ),
  notOfCommand: (command: string, ids: readonly string[]) =>
    new InvalidInstanceId(said(`The command ${command} is not for ${shown(ids.join(', '))}.`)),
  duplicateInstance: (id: string) =>
    new AwsError('DuplicateInstanceId', `The instance ${shown(id)} was named twice.`),
  commandId: (id: string) => new AwsError('InvalidCommandId', `There is no command ${shown(id)}.`),
  noInvocation: (command: string, instance: string) =>
    new AwsError(
      'InvocationDoesNotExist',
      `The command ${shown(command)} has no invocation on ${shown(instance)}.`,
    ),
  pluginName: (why: string) => new AwsError('InvalidPluginName', why),
  filterKey: (key: string) =>
    new AwsError('InvalidFilterKey', `The filter '${shown(key)}' is not one of this list.`),
  instanceFilterValue: (why: string) => new InvalidInstanceInformationFilterValue(said(why)),
  noAssociation: (id: string) =>
    new AssociationDoesNotExist(
      said(
        id === ''
          ? 'There is no association of an instance and a document: give AssociationId.'
          : `There is no association ${shown(id)}.`,
      ),
    ),
  associationVersion: (why: string) => new InvalidAssociationVersion(said(why)),
  associationVersionLimit: (why: string) => new AssociationVersionLimitExceeded(said(why)),
  associationLimit: (why: string) => new AwsError('AssociationLimitExceeded', why),
  noExecution: (association: string, id: string) =>
    new AssociationExecutionDoesNotExist(
      said(`The association ${association} has no execution ${shown(id)}.`),
    ),
  schedule: (why: string) => new InvalidSchedule(said(why)),
  nextToken: () => new InvalidNextToken(said('The NextToken is not one that this list gave.')),
  /** The SDK has no class for what the model itself refuses. */
  invalid: (why: string) => new AwsError('ValidationException', why),
};
