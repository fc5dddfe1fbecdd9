import type { SendCommandCommand } from '@aws-sdk/client-ssm';
import type { CallContext, InputOf, Operation, OutputOf } from '@rokka/gateway';
import type { Scope } from '../../scope.ts';
import { readOnline } from '../agents.ts';
import { commandShape } from '../command-shapes.ts';
import { type Document, findDocument, versionOf } from '../document-lookup.ts';
import { parseDocument } from '../documents/document-parsing.ts';
import { executionSeconds } from '../documents/execution-time.ts';
import { checkedParameters } from '../documents/parameter-values.ts';
import { resolveSteps } from '../documents/substitution.ts';
import type { SsmInstance, SsmServices } from '../ssm-context.ts';
import { ssmFailures } from '../ssm-failures.ts';
import { newCommandId } from '../ssm-ids.ts';
import { checked, demandBuilt, given, scopeOf } from '../ssm-inputs.ts';
import { askForDocument, askForInstance } from '../ssm-permissions.ts';
import { type CommandDocument, type CommandRecord, recordKeys } from '../ssm-records.ts';
import { findTargets } from '../targets.ts';

type Input = InputOf<typeof SendCommandCommand>;

const HASH_TYPE = 'Sha256';

/**
 * One write has it sent: from then on agents find it.
 * @throws InvalidDocument, InvalidDocumentVersion, InvalidParameters, InvalidInstanceId, DuplicateInstanceId, ValidationException
 */
export const sendCommand = (services: SsmServices): Operation<typeof SendCommandCommand> => {
  // Those that the caller was asked about, and no others: one that gets the tag meanwhile is not among them.
  const asked = new WeakMap<CallContext, Found>();
  return {
    async resources(input, call) {
      const found = await findTargets(services, call, input);
      asked.set(call, found);
      return [
        askForDocument(call, input.DocumentName),
        ...found.instances.map((instance) => askForInstance(call, instance)),
      ];
    },
    handle: async (input, call) => send(services, { input, scope: scopeOf(call), found: asked.get(call) }),
  };
};

type Found = Awaited<ReturnType<typeof findTargets>>;

async function send(
  services: SsmServices,
  of: { input: Input; scope: Scope; found: Found | undefined },
): Promise<OutputOf<typeof SendCommandCommand>> {
  const { input, scope } = of;
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
  const command = commandOf(services, input, { document: sentDocument(document, input), instances, targets });
  await written(services, scope, command);
  const online = await readOnline(services);
  return { Command: commandShape({ command, invocations: new Map(), online }) };
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
  { clock, random }: SsmServices,
  input: Input,
  of: Pick<CommandRecord, 'document' | 'targets'> & { instances: readonly SsmInstance[] },
): CommandRecord {
  return {
    id: newCommandId(random),
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
