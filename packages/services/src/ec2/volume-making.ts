/** A volume is made of its record, or given up; and it goes with all that it held. */
import { must } from '@rokka/kernel';
import { demandSource, unlessHopeless } from '../database-making.ts';
import { deviceClaimOf, liveClaim, releaseClaim, tokenClaimOf } from './claims.ts';
import type { StepContext } from './ec2-context.ts';
import { GIB, recordKeys, type VolumeRecord } from './ec2-records.ts';

/** A past of a day: what is older lives in snapshots alone. */
const RETENTION_DAYS = 1;

export async function makeDatabase(of: StepContext, volume: VolumeRecord): Promise<void> {
  const { source } = must(volume.wish);
  await unlessHopeless(
    async () => {
      await of.databases.create({
        name: volume.id,
        engine: 'files',
        files: { sizeBytes: volume.sizeGiB * GIB },
        retentionDays: RETENTION_DAYS,
        // It makes, or opens, the filesystem once.
        desired: 'running',
        ...(source && { source }),
      });
    },
    () => giveUp(of, volume),
  );
}

/** From here on the database keeps what it begins with: if it was there all the time, which is seen now. */
export async function finishMaking(of: StepContext, volume: VolumeRecord): Promise<void> {
  await unlessHopeless(
    async () => {
      await demandSource(of, volume.wish);
      await changeRecord(of, volume, withoutWish);
    },
    () => giveUp(of, volume),
  );
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

/** Another one has its token. */
export async function withdraw(of: StepContext, volume: VolumeRecord): Promise<void> {
  const holder = await liveClaim(of.store, tokenClaimOf(of.scope, volume).key);
  // The one that had it has gone: it may be this one's after all.
  if (!holder || holder.holder === volume.id) return;
  const key = recordKeys.volume(of.scope, volume.id);
  await of.store.change<VolumeRecord>(key, (found) => (found?.unconfirmed ? undefined : found));
}

export async function removeVolume(of: StepContext, volume: VolumeRecord): Promise<void> {
  await of.store.change<VolumeRecord>(recordKeys.volume(of.scope, volume.id), () => undefined);
  await releaseAll(of, volume);
}

/** Were this cut short, the keeper would do it. */
async function releaseAll(of: StepContext, volume: VolumeRecord): Promise<void> {
  if (volume.attachment) await releaseClaim(of.store, deviceClaimOf(of.scope, volume));
  if (volume.token) await releaseClaim(of.store, tokenClaimOf(of.scope, volume));
}

/** `changing` may run several times; the same object again leaves it as it is. */
export async function changeRecord(
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
