import type { DisassociateIamInstanceProfileCommand } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { askForAssociated } from '../ec2-permissions.ts';
import { associationShape, changeAssociation, findAssociation } from '../profile-associations.ts';

/** Keys that the machine was given before count until they expire. @throws InvalidAssociationID.NotFound */
export const disassociateIamInstanceProfile = (
  services: Ec2Services,
): Operation<typeof DisassociateIamInstanceProfileCommand> => ({
  resources: async ({ AssociationId }, call) => [await askForAssociated(services, call, AssociationId)],
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, ['AssociationId']);
    const known = await findAssociation(services.store, scope, input.AssociationId);
    await changeAssociation(services.store, scope, { known, to: undefined });
    return { IamInstanceProfileAssociation: associationShape(known, 'disassociated') };
  },
});
