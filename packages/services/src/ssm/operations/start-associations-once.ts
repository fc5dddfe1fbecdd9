import type { StartAssociationsOnceCommand } from '@aws-sdk/client-ssm';
import type { Operation } from '@rokka/gateway';
import { askForRun } from '../association-changes.ts';
import { findAssociation } from '../association-lookup.ts';
import type { SsmServices } from '../ssm-context.ts';
import { ssmFailures } from '../ssm-failures.ts';
import { demandBuilt, scopeOf } from '../ssm-inputs.ts';
import { askForAssociation } from '../ssm-permissions.ts';

const IDS_MAX = 10;

/** One that runs does so once more when that has ended. @throws AssociationDoesNotExist, ValidationException */
export const startAssociationsOnce = (
  services: SsmServices,
): Operation<typeof StartAssociationsOnceCommand> => ({
  resources: ({ AssociationIds = [] }, call) => AssociationIds.map((id) => askForAssociation(call, id)),
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, ['AssociationIds']);
    const ids = [...new Set(input.AssociationIds ?? [])];
    if (ids.length === 0 || ids.length > IDS_MAX)
      throw ssmFailures.invalid(`AssociationIds has 1 to ${IDS_MAX} ids.`);
    // None begins where one of them is not there.
    for (const id of ids) await findAssociation(services, scope, id);
    for (const id of ids) await askForRun(services, scope, id);
    return {};
  },
});
