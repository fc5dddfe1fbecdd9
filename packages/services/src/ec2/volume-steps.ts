/**
 * The steps of keeping.ts for volumes, carried out. Each is a compare-and-set on the record that it is about, or is repeated
 * without harm: several may take the same one.
 */
import { isCoded, must, unreachable } from '@rokka/kernel';
import type { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';
import { type Claim, deviceKey, liveClaim, makeClaim, releaseClaim, tokenKey } from './claims.ts';
import type { Ec2Context } from './ec2-context.ts';
import { GIB, recordKeys, type VolumeRecord } from './ec2-records.ts';
import type { VolumeStep } from './keeping.ts';
import type { VolumeFacts } from './volume-facts.ts';

export type StepContext = Ec2Context & { readonly store: RecordStore; readonly scope: Scope };

/** A past of a day: what is older lives in snapshots alone. */
const RETENTION_DAYS = 1;

/** What makes a volume impossible, now and later. */
const FINAL = ['DATABASE_NAME_INVALID', 'DATABASE_ONLY_MAIN', 'DATABASE_NO_SNAPSHOT'];

/** Whether a volume cannot be made as it was asked for, so that there is none. */
export const isHopeless = (error: unknown) => isCoded(error) && FINAL.includes(error.code);

/** @throws what `Databases` throws */
export async function carryOutVolume(of: StepContext, facts: VolumeFacts, step: VolumeStep): Promise<void> {
  const { volume } = facts;
  const { databases, clock } = of;
  switch (step.step) {
    case 'none':
      return;
    case 'claim-token':
      return makeClaim(of.store, tokenClaim(of, volume));
    case 'confirm':
      return change(of, volume, withoutDoubt);
    case 'withdraw':
      return withdraw(of, volume);
    case 'make-database':
      return makeDatabase(of, volume);
    case 'forget-wish':
      return finishMaking(of, volume);
    case 'tell-ready':
      return change(of, volume, (found) => (found.ready ? found : { ...found, ready: true }));
    case 'claim-device':
      return makeClaim(of.store, deviceClaim(of, volume));
    case 'refuse-attachment':
      return refuseAttachment(of, volume);
    case 'change-database':
      await databases.change(volume.id, step.change, { restart: step.restart });
      return;
    case 'set-desired':
      await databases.setDesired(volume.id, step.desired);
      return;
    case 'end-attachment':
      return endAttachment(of, volume);
    case 'end-modification':
      return change(of, volume, (found) => endingModification(found, volume, clock.wallMs()));
    case 'remove-volume':
      return removeVolume(of, volume);
    default:
      return unreachable(step);
  }
}

async function makeDatabase(of: StepContext, volume: VolumeRecord): Promise<void> {
  const { source } = must(volume.wish);
  await unlessHopeless(of, volume, async () => {
    await of.databases.create({
      name: volume.id,
      engine: 'files',
      files: { sizeBytes: volume.sizeGiB * GIB },
      retentionDays: RETENTION_DAYS,
      // It makes, or opens, the filesystem once.
      desired: 'running',
      ...(source && { source }),
    });
  });
}

/** From here on the database keeps what it begins with: if it was there all the time, which is seen now. */
async function finishMaking(of: StepContext, volume: VolumeRecord): Promise<void> {
  await unlessHopeless(of, volume, async () => {
    await demandSource(of, volume);
    await change(of, volume, withoutWish);
  });
}

/** @throws DATABASE_NO_SNAPSHOT */
async function demandSource({ snapshots }: StepContext, { wish }: VolumeRecord): Promise<void> {
  if (wish?.kept !== undefined) await snapshots.get(wish.kept);
}

async function unlessHopeless(
  of: StepContext,
  volume: VolumeRecord,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    // Somebody else has made it meanwhile.
    if (isCoded(error, 'DATABASE_EXISTS')) return;
    if (!isHopeless(error)) throw error;
    if (await giveUp(of, volume)) throw error;
  }
}

/**
 * The volume goes again; a database that was made of it is left over, and goes as well. False where somebody else could finish
 * it after all.
 */
async function giveUp(of: StepContext, volume: VolumeRecord): Promise<boolean> {
  const key = recordKeys.volume(of.scope, volume.id);
  const { changed } = await of.store.change<VolumeRecord>(key, (found) => (found?.wish ? undefined : found));
  if (changed) await releaseAll(of, volume);
  return changed;
}

async function withdraw(of: StepContext, volume: VolumeRecord): Promise<void> {
  const holder = await liveClaim(of.store, tokenClaim(of, volume).key);
  // The one that had it has gone: it may be this one's after all.
  if (!holder || holder.holder === volume.id) return;
  const key = recordKeys.volume(of.scope, volume.id);
  await of.store.change<VolumeRecord>(key, (found) => (found?.unconfirmed ? undefined : found));
}

async function refuseAttachment(of: StepContext, volume: VolumeRecord): Promise<void> {
  const claim = deviceClaim(of, volume);
  const holder = await liveClaim(of.store, claim.key);
  if (!holder || holder.holder === claim.holder) return;
  await change(of, volume, (found) => withoutAttachment(found, claim.holder));
}

async function endAttachment(of: StepContext, volume: VolumeRecord): Promise<void> {
  const claim = deviceClaim(of, volume);
  await change(of, volume, (found) => withoutAttachment(found, claim.holder));
  await releaseClaim(of.store, claim);
}

async function removeVolume(of: StepContext, volume: VolumeRecord): Promise<void> {
  await of.store.change<VolumeRecord>(recordKeys.volume(of.scope, volume.id), () => undefined);
  await releaseAll(of, volume);
}

/** Were this cut short, the keeper would do it. */
async function releaseAll(of: StepContext, volume: VolumeRecord): Promise<void> {
  if (volume.attachment) await releaseClaim(of.store, deviceClaim(of, volume));
  if (volume.token) await releaseClaim(of.store, tokenClaim(of, volume));
}

/** `change` may run several times; the same object again leaves it as it is. */
async function change(
  { store, scope }: StepContext,
  { id }: VolumeRecord,
  changing: (found: VolumeRecord) => VolumeRecord,
): Promise<void> {
  await store.change<VolumeRecord>(recordKeys.volume(scope, id), (found) => found && changing(found));
}

function withoutWish(found: VolumeRecord): VolumeRecord {
  const { wish, ...rest } = found;
  return wish ? rest : found;
}

function withoutDoubt(found: VolumeRecord): VolumeRecord {
  const { unconfirmed, ...rest } = found;
  return unconfirmed ? rest : found;
}

function withoutAttachment(found: VolumeRecord, id: string): VolumeRecord {
  const { attachment, ...rest } = found;
  return attachment?.id === id ? rest : found;
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

function deviceClaim({ scope }: StepContext, { id, attachment }: VolumeRecord): Claim {
  const { id: holder, mount } = must(attachment);
  return { holder, volume: id, scope, key: deviceKey(mount) };
}

function tokenClaim({ scope }: StepContext, { id, token }: VolumeRecord): Claim {
  return { holder: id, volume: id, scope, key: tokenKey(scope, must(token).token) };
}
