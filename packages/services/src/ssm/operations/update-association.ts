import type { UpdateAssociationCommand } from '@aws-sdk/client-ssm';
import type { Operation } from '@rokka/gateway';
import { asksToUpdate, updateAssociation as update } from '../association-changes.ts';
import { descriptionShape } from '../association-shapes.ts';
import type { SsmServices } from '../ssm-context.ts';
import { scopeOf } from '../ssm-inputs.ts';

/**
 * One more version, by one write, with its first run where that does not wait for the schedule.
 * @throws AssociationDoesNotExist, InvalidAssociationVersion, AssociationVersionLimitExceeded, and what CreateAssociation throws
 */
export const updateAssociation = (services: SsmServices): Operation<typeof UpdateAssociationCommand> => ({
  resources: (input, call) => asksToUpdate(services, call, input),
  async handle(input, call) {
    const facts = await update(services, scopeOf(call), { input, credential: call.credential });
    return { AssociationDescription: descriptionShape(facts) };
  },
});
