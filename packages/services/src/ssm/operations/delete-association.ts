import type { DeleteAssociationCommand } from '@aws-sdk/client-ssm';
import type { Operation } from '@rokka/gateway';
import { changeAssociation, findAssociation } from '../association-lookup.ts';
import type { SsmServices } from '../ssm-context.ts';
import { demandBuilt, scopeOf } from '../ssm-inputs.ts';
import { askForAssociation } from '../ssm-permissions.ts';

/** With its executions. Commands that were sent go on. @throws AssociationDoesNotExist */
export const deleteAssociation = (services: SsmServices): Operation<typeof DeleteAssociationCommand> => ({
  resources: ({ AssociationId }, call) => [askForAssociation(call, AssociationId)],
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, ['AssociationId', 'InstanceId', 'Name']);
    const { id } = await findAssociation(services, scope, input.AssociationId);
    await changeAssociation(services, scope, { id, change: () => undefined });
    return {};
  },
});
