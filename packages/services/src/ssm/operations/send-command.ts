import type { SendCommandCommand } from '@aws-sdk/client-ssm';
import type { CallContext, Operation } from '@rokka/gateway';
import { readOnline } from '../agents.ts';
import { type FoundTargets, sendToTargets } from '../command-sending.ts';
import { commandShape } from '../command-shapes.ts';
import type { SsmServices } from '../ssm-context.ts';
import { scopeOf } from '../ssm-inputs.ts';
import { askForDocument, askForInstance } from '../ssm-permissions.ts';
import { findTargets } from '../targets.ts';

/**
 * One write has it sent: from then on agents find it.
 * @throws InvalidDocument, InvalidDocumentVersion, InvalidParameters, InvalidInstanceId, DuplicateInstanceId, ValidationException
 */
export const sendCommand = (services: SsmServices): Operation<typeof SendCommandCommand> => {
  // Those that the caller was asked about, and no others: one that gets the tag meanwhile is not among them.
  const asked = new WeakMap<CallContext, FoundTargets>();
  return {
    async resources(input, call) {
      const found = await findTargets(services, call, input);
      asked.set(call, found);
      return [
        askForDocument(call, input.DocumentName),
        ...found.instances.map((instance) => askForInstance(call, instance)),
      ];
    },
    async handle(input, call) {
      const command = await sendToTargets(services, scopeOf(call), { input, found: asked.get(call) });
      const online = await readOnline(services);
      return { Command: commandShape({ command, invocations: new Map(), online }) };
    },
  };
};
