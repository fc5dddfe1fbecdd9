import type { CreateAssociationCommand } from '@aws-sdk/client-ssm';
import type { Operation } from '@rokka/gateway';
import { asksToAssociate, makeAssociation } from '../association-changes.ts';
import { descriptionShape } from '../association-shapes.ts';
import type { SsmServices } from '../ssm-context.ts';
import { scopeOf } from '../ssm-inputs.ts';

/**
 * One write makes it, with its first run where that does not wait for the schedule.
 * @throws AssociationLimitExceeded, InvalidDocument, InvalidDocumentVersion, InvalidParameters, InvalidSchedule, ValidationException
 */
export const createAssociation = (services: SsmServices): Operation<typeof CreateAssociationCommand> => ({
  resources: (input, call) => asksToAssociate(services, call, input),
  async handle(input, call) {
    const facts = await makeAssociation(services, scopeOf(call), { input, credential: call.credential });
    return { AssociationDescription: descriptionShape(facts) };
  },
});
