/** The command of a run. Apart, because the SDK's module behind it is large. */
import { AwsError } from '@rokka/gateway';
import type { Scope } from '../scope.ts';
import { commandInputOf } from './association-inputs.ts';
import type { AssociationRecord, AssociationRun } from './association-records.ts';
import { versionOfRun } from './association-runs.ts';
import { commandFor, sendToTargets } from './command-sending.ts';
import { concurrencyMax, roundsOf } from './rate-control.ts';
import type { SsmServices } from './ssm-context.ts';
import { DELIVERY_S_MAX } from './ssm-inputs.ts';
import { asksToSend } from './ssm-permissions.ts';
import { findAssociationTargets } from './targets.ts';

/** In which a machine must begin whose turn it is. It may have to wait for others before, all the time that these may take. */
const DELIVERY_S = 3600;

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
  const input = commandInputOf(version, association.id);
  const { maxConcurrency, executionSeconds } = await commandFor(services, scope, { input, found });
  const targets = found.instances.length;
  const rounds = roundsOf({ targets, concurrencyMax: concurrencyMax(maxConcurrency, targets) });
  const TimeoutSeconds = Math.min(DELIVERY_S + Math.max(0, rounds - 1) * executionSeconds, DELIVERY_S_MAX);
  await sendToTargets(services, scope, { id: run.id, input: { ...input, TimeoutSeconds }, found });
}
