import type { DescribeAssociationCommand } from '@aws-sdk/client-ssm';
import type { Operation } from '@rokka/gateway';
import { associationFacts, associationVersion, findAssociation } from '../association-lookup.ts';
import { descriptionShape } from '../association-shapes.ts';
import type { SsmServices } from '../ssm-context.ts';
import { demandBuilt, scopeOf } from '../ssm-inputs.ts';
import { askForAssociation } from '../ssm-permissions.ts';

/** By its id: by instance and document there are none. @throws AssociationDoesNotExist, InvalidAssociationVersion */
export const describeAssociation = (services: SsmServices): Operation<typeof DescribeAssociationCommand> => ({
  resources: ({ AssociationId }, call) => [askForAssociation(call, AssociationId)],
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, ['AssociationId', 'AssociationVersion', 'InstanceId', 'Name']);
    const association = await findAssociation(services, scope, input.AssociationId);
    const facts = await associationFacts(services, scope, association);
    const version = associationVersion(association, input.AssociationVersion);
    return { AssociationDescription: descriptionShape({ ...facts, version }) };
  },
});
