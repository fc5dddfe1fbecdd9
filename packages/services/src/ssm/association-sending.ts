/** The command of a run. Apart, because the SDK's module behind it is large. */
import { AwsError } from '@rokka/gateway';
import type { Scope } from '../scope.ts';
import { commandInputOf } from './association-inputs.ts';
import type { AssociationRecord, AssociationRun } from './association-records.ts';
import { versionOfRun } from './association-runs.ts';
import { sendToTargets } from './command-sending.ts';
import type { SsmServices } from './ssm-context.ts';
import { asksToSend } from './ssm-permissions.ts';
import { findAssociationTargets } from './targets.ts';

/** Sent once, however often it is asked for. @throws AccessDenied, what SendCommand refuses */
export async function sendRun(
  services: SsmServices,
  scope: Scope,
  { association, run }: { association: AssociationRecord; run: AssociationRun },
): Promise<void> {
  const version = versionOfRun(association, run);
  const Targets = version.targets.map(({ key, values }) => ({ Key: key, Values: [...values] }));
  const found = await findAssociationTargets(services, scope, { Targets });
  const { document, standIn } = version;
  const asks = asksToSend(scope, { document, instances: found.instances });
  const denied = await services.rights.firstDenied(standIn, { region: scope.region, asks });
  if (denied)
    throw new AwsError(
      'AccessDenied',
      `${standIn.principal.arn}, who has made version ${version.version} of it, is not allowed ${denied.action} on ${denied.arn}.`,
    );
  await sendToTargets(services, scope, {
    id: run.id,
    input: commandInputOf(version, association.id),
    found,
  });
}
