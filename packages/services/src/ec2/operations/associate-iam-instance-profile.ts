import type { AssociateIamInstanceProfileCommand } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import { ChosenProfiles } from '../chosen-profile.ts';
import type { Ec2Services } from '../ec2-context.ts';
import { ec2Failures } from '../ec2-failures.ts';
import { newAssociationId } from '../ec2-ids.ts';
import { demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { askFor } from '../ec2-permissions.ts';
import { recordKeys } from '../ec2-records.ts';
import { findInstance } from '../instances.ts';
import { associationShape } from '../profile-associations.ts';

/**
 * From its answer on the machine may what the role may that the profile has.
 * @throws InvalidInstanceID.NotFound, InvalidParameterValue for a profile that is not there or is empty, IncorrectState
 */
export function associateIamInstanceProfile(
  services: Ec2Services,
): Operation<typeof AssociateIamInstanceProfileCommand> {
  const chosen = new ChosenProfiles(services);
  return {
    resources: async (input, call) =>
      chosen.asks(input, call, await askFor(services, call, ['instance', input.InstanceId])),
    async handle(input, call) {
      const scope = scopeOf(call);
      const { clock, random, store } = services;
      demandBuilt(input, ['IamInstanceProfile', 'InstanceId']);
      const { id: instance } = await findInstance(services, scope, input.InstanceId);
      const association = {
        id: newAssociationId(random),
        instance,
        profile: await chosen.take(input, scope),
        sinceMs: clock.wallMs(),
      };
      await store.enter(scope);
      if (!(await store.create(recordKeys.profileAssociation(scope, instance), association)))
        throw ec2Failures.state(`There is an existing association for instance ${instance}`);
      return { IamInstanceProfileAssociation: associationShape(association) };
    },
  };
}
