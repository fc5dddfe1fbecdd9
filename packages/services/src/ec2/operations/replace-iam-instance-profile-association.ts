import type { ReplaceIamInstanceProfileAssociationCommand } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import { ChosenProfiles } from '../chosen-profile.ts';
import type { Ec2Services } from '../ec2-context.ts';
import { newAssociationId } from '../ec2-ids.ts';
import { demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { askForAssociated } from '../ec2-permissions.ts';
import { associationShape, changeAssociation, findAssociation } from '../profile-associations.ts';

/**
 * The new association has an id of its own. Keys that the machine was given before count until they expire.
 * @throws InvalidAssociationID.NotFound, InvalidParameterValue for a profile that is not there or is empty
 */
export function replaceIamInstanceProfileAssociation(
  services: Ec2Services,
): Operation<typeof ReplaceIamInstanceProfileAssociationCommand> {
  const chosen = new ChosenProfiles(services);
  return {
    resources: async (input, call) =>
      chosen.asks(input, call, await askForAssociated(services, call, input.AssociationId)),
    async handle(input, call) {
      const scope = scopeOf(call);
      const { clock, random, store } = services;
      demandBuilt(input, ['AssociationId', 'IamInstanceProfile']);
      const known = await findAssociation(store, scope, input.AssociationId);
      const to = {
        id: newAssociationId(random),
        instance: known.instance,
        profile: await chosen.take(input, scope),
        sinceMs: clock.wallMs(),
      };
      await changeAssociation(store, scope, { known, to });
      return { IamInstanceProfileAssociation: associationShape(to) };
    },
  };
}
