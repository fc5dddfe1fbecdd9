/** A command is sent: by one write, which says all of it. */
import type { SendCommandCommand } from '@aws-sdk/client-ssm';
import type { InputOf } from '@rokka/gateway';
import type { Scope } from '../scope.ts';
import { type Document, findDocument, versionOf } from './document-lookup.ts';
import { parseDocument } from './documents/document-parsing.ts';
import { executionSeconds } from './documents/execution-time.ts';
import { checkedParameters } from './documents/parameter-values.ts';
import { resolveSteps } from './documents/substitution.ts';
import type { SsmInstance, SsmServices } from './ssm-context.ts';
import { ssmFailures } from './ssm-failures.ts';
import { newCommandId } from './ssm-ids.ts';
import { checked, demandBuilt, given } from './ssm-inputs.ts';
import { type CommandDocument, type CommandRecord, recordKeys } from './ssm-records.ts';
import { findTargets } from './targets.ts';

type Input = InputOf<typeof SendCommandCommand>;
export type FoundTargets = Awaited<ReturnType<typeof findTargets>>;

const HASH_TYPE = 'Sha256';

interface Sending {
  readonly input: Input;
  /** Of the command; one that is there already is not sent again. */
  readonly id?: string;
  /** What the input's targets are, where that is known. */
  readonly found?: FoundTargets | undefined;
}

/**
 * From then on agents find it.
 * @throws InvalidDocument, InvalidDocumentVersion, InvalidParameters, InvalidInstanceId, DuplicateInstanceId, ValidationException
 */
export async function sendToTargets(
  services: SsmServices,
  scope: Scope,
  of: Sending,
): Promise<CommandRecord> {
  const command = await commandFor(services, scope, of);
  await written(services, scope, command);
  return command;
}

/** What would be sent. @throws what `sendToTargets` throws */
export async function commandFor(services: SsmServices, scope: Scope, of: Sending): Promise<CommandRecord> {
  const { input } = of;
  demandBuilt(input, [
    'Comment',
    'DocumentHash',
    'DocumentHashType',
    'DocumentName',
    'DocumentVersion',
    'InstanceIds',
    'MaxConcurrency',
    'MaxErrors',
    'Parameters',
    'Targets',
    'TimeoutSeconds',
  ]);
  const document = await findDocument(services, scope, given(input.DocumentName, 'DocumentName'));
  const { instances, targets } = of.found ?? (await findTargets(services, scope, input));
  return commandOf(services, input, {
    id: of.id ?? newCommandId(services.random),
    document: sentDocument(document, input),
    instances,
    targets,
  });
}

/** What is carried out, whatever becomes of the document. */
function sentDocument(document: Document, input: Input): CommandDocument {
  const version = versionOf(document, { version: input.DocumentVersion });
  const { DocumentHash: hash, DocumentHashType: hashType = HASH_TYPE } = input;
  if (hashType !== HASH_TYPE)
    throw ssmFailures.invalid(`DocumentHashType ${hashType} is not supported here: use ${HASH_TYPE}.`);
  if (hash !== undefined && hash !== version.hash)
    throw ssmFailures.document(
      `The hash of version ${version.version} of ${document.name} is not the DocumentHash that was given.`,
    );
  const model = parseDocument(version.content);
  const parameters = checkedParameters(model.parameters, input.Parameters);
  return {
    name: document.name,
    version: String(version.version),
    hash: version.hash,
    steps: resolveSteps(model, parameters),
    parameters,
  };
}

function commandOf(
  { clock }: SsmServices,
  input: Input,
  of: Pick<CommandRecord, 'id' | 'document' | 'targets'> & { instances: readonly SsmInstance[] },
): CommandRecord {
  return {
    id: of.id,
    requestedAtMs: clock.wallMs(),
    document: of.document,
    comment: checked.comment(input.Comment),
    parameters: input.Parameters ?? {},
    instanceIds: input.InstanceIds ?? [],
    targets: of.targets,
    maxConcurrency: checked.maxConcurrency(input.MaxConcurrency),
    maxErrors: checked.maxErrors(input.MaxErrors),
    deliverySeconds: checked.deliverySeconds(input.TimeoutSeconds),
    executionSeconds: executionSeconds(of.document.steps),
    instances: of.instances.map(({ id, machineKey }) => ({ id, machineKey })),
    begun: {},
    cancelled: {},
  };
}

/** Where this ends between the two, the keeper names it among the open ones. */
async function written({ store }: SsmServices, scope: Scope, command: CommandRecord): Promise<void> {
  await store.enter(scope);
  await store.create(recordKeys.command(scope, command.id), command);
  await store.create(recordKeys.open(command.id), { ...scope, id: command.id });
}
