/**
 * What a head says when it ends in good order: everything that the volume has is in its archive (`archive-ends/<volume>`). It holds for
 * as long as nobody opens the volume again, which raises its epoch.
 */
import { type Epoch, isCoded, type Lsn, type VolumeId } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import type { VolumeRecord } from '@rokka/volume';

interface ArchiveEnd {
  readonly volumeEpoch: Epoch;
  readonly lsn: Lsn;
}

const keyOf = (volume: VolumeId) => `archive-ends/${volume}`;

/** @throws what the registry throws */
export async function writeArchiveEnd(registry: Registry, volume: VolumeId, end: ArchiveEnd): Promise<void> {
  const entry = await registry.get<ArchiveEnd>(keyOf(volume));
  if ((entry?.value.volumeEpoch ?? 0) < end.volumeEpoch)
    await registry.put(keyOf(volume), end, entry?.revision ?? 0);
}

/** The point that is all of the volume; undefined where that is not known. @throws what the registry throws */
export async function readArchiveEnd(registry: Registry, volume: VolumeId): Promise<Lsn | undefined> {
  const end = (await registry.get<ArchiveEnd>(keyOf(volume)))?.value;
  const record = (await registry.get<VolumeRecord>(`volumes/${volume}`))?.value;
  return end && end.volumeEpoch === record?.volumeEpoch ? end.lsn : undefined;
}

/** The volume is gone. @throws what the registry throws */
export async function removeArchiveEnd(registry: Registry, volume: VolumeId): Promise<void> {
  const entry = await registry.get(keyOf(volume));
  try {
    if (entry) await registry.remove(entry.key, entry.revision);
  } catch (error) {
    if (!isCoded(error, 'REGISTRY_CONFLICT')) throw error;
  }
}
