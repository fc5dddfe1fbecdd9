/**
 * The steps of keeping.ts for volumes, carried out. Each is a compare-and-set on the record that it is about, or is repeated
 * without harm: several may take the same one.
 */
import { unreachable } from '@rokka/kernel';
import { deviceClaimOf, liveClaim, makeClaim, releaseClaim, tokenClaimOf } from './claims.ts';
import type { StepContext } from './ec2-context.ts';
import type { VolumeRecord } from './ec2-records.ts';
import type { VolumeStep } from './keeping.ts';
import type { VolumeFacts } from './volume-facts.ts';
import { changeRecord, finishMaking, makeDatabase, removeVolume, withdraw } from './volume-making.ts';

/** @throws what `Databases` throws */
export async function carryOutVolume(of: StepContext, facts: VolumeFacts, step: VolumeStep): Promise<void> {
  const { volume } = facts;
  const { databases, clock } = of;
  switch (step.step) {
    case 'none':
      return;
    case 'claim-token':
      return makeClaim(of.store, tokenClaimOf(of.scope, volume));
    case 'confirm':
      return changeRecord(of, volume, withoutDoubt);
    case 'withdraw':
      return withdraw(of, volume);
    case 'make-database':
      return makeDatabase(of, volume);
    case 'forget-wish':
      return finishMaking(of, volume);
    case 'tell-ready':
      return changeRecord(of, volume, (found) => (found.ready ? found : { ...found, ready: true }));
    case 'claim-device':
      return makeClaim(of.store, deviceClaimOf(of.scope, volume));
    case 'refuse-attachment':
      return refuseAttachment(of, volume);
    case 'change-database':
      await databases.change(volume.id, step.change, { restart: step.restart });
      return;
    case 'set-desired':
      await databases.setDesired(volume.id, step.desired);
      return;
    case 'tell-fenced':
      return changeRecord(of, volume, (found) => fenced(found, volume));
    case 'end-attachment':
      return endAttachment(of, volume);
    case 'end-modification':
      return changeRecord(of, volume, (found) => endingModification(found, volume, clock.wallMs()));
    case 'remove-volume':
      return removeVolume(of, volume);
    default:
      return unreachable(step);
  }
}

async function refuseAttachment(of: StepContext, volume: VolumeRecord): Promise<void> {
  const claim = deviceClaimOf(of.scope, volume);
  const holder = await liveClaim(of.store, claim.key);
  if (!holder || holder.holder === claim.holder) return;
  await changeRecord(of, volume, (found) => withoutAttachment(found, claim.holder));
}

async function endAttachment(of: StepContext, volume: VolumeRecord): Promise<void> {
  const claim = deviceClaimOf(of.scope, volume);
  await changeRecord(of, volume, (found) => withoutAttachment(found, claim.holder));
  await releaseClaim(of.store, claim);
}

function withoutDoubt(found: VolumeRecord): VolumeRecord {
  const { unconfirmed, ...rest } = found;
  return unconfirmed ? rest : found;
}

function withoutAttachment(found: VolumeRecord, id: string): VolumeRecord {
  const { attachment, ...rest } = found;
  return attachment?.id === id ? rest : found;
}

function fenced(found: VolumeRecord, { attachment: known }: VolumeRecord): VolumeRecord {
  const { attachment } = found;
  if (attachment?.id !== known?.id || !attachment?.detaching?.force) return found;
  return { ...found, attachment: { ...attachment, detaching: { ...attachment.detaching, fenced: true } } };
}

/** Another one may have begun meanwhile. */
function endingModification(found: VolumeRecord, { modification: known }: VolumeRecord, endedAtMs: number) {
  const { modification } = found;
  if (
    !modification ||
    modification.startedAtMs !== known?.startedAtMs ||
    modification.endedAtMs !== undefined
  )
    return found;
  return { ...found, modification: { ...modification, endedAtMs } };
}
