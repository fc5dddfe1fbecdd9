import type { CreateAssociationBatchCommand, FailedCreateAssociation } from '@aws-sdk/client-ssm';
import type { Operation } from '@rokka/gateway';
import { asksToAssociate, makeAssociation } from '../association-changes.ts';
import { type AssociationFacts, descriptionShape } from '../association-shapes.ts';
import { refusalOf } from '../../refusal.ts';
import type { SsmServices } from '../ssm-context.ts';
import { ssmFailures } from '../ssm-failures.ts';
import { demandBuilt, scopeOf } from '../ssm-inputs.ts';

const ENTRIES_MAX = 100;

/** Each by itself: those that are refused are told beside those that are there. @throws ValidationException */
export const createAssociationBatch = (
  services: SsmServices,
): Operation<typeof CreateAssociationBatchCommand> => ({
  async resources({ Entries = [] }, call) {
    const asks = await Promise.all(Entries.map((entry) => asksToAssociate(services, call, entry)));
    return asks.flat();
  },
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, ['Entries']);
    const { Entries = [] } = input;
    if (Entries.length === 0 || Entries.length > ENTRIES_MAX)
      throw ssmFailures.invalid(`Entries has 1 to ${ENTRIES_MAX} associations.`);
    const made: AssociationFacts[] = [];
    const failed: FailedCreateAssociation[] = [];
    for (const Entry of Entries) {
      try {
        made.push(await makeAssociation(services, scope, { input: Entry, credential: call.credential }));
      } catch (error) {
        const Message = refusalOf(error);
        if (Message === undefined) throw error;
        failed.push({ Entry, Message, Fault: 'Client' });
      }
    }
    return { Successful: made.map(descriptionShape), Failed: failed };
  },
});
