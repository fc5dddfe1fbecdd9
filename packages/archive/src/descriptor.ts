/** What an archive is of: one small object, written before the first layer. A line of JSON, and its CRC-32 on the next. */
import { crc32, type Lsn, type VolumeId } from '@rokka/kernel';
import { archiveErrors } from './errors.ts';
import { archivePrefix } from './layer.ts';
import type { ObjectStore } from './object-store.ts';

export const ARCHIVE_VERSION = 1;
const NAME = 'archive.json';

/** A point in the history of a volume, in its archive. */
export interface ArchivePoint {
  readonly volume: VolumeId;
  readonly lsn: Lsn;
}

export interface ArchiveDescriptor {
  readonly volume: VolumeId;
  readonly pagesPerGroup: number;
  readonly createdAtMs: number;
  /** What pages hold that the volume's own log never wrote: it began as a clone of this. */
  readonly base?: ArchivePoint & { readonly pages: number };
}

/** @throws ARCHIVE_STORE_FAILED */
export async function writeDescriptor(store: ObjectStore, descriptor: ArchiveDescriptor): Promise<void> {
  const text = JSON.stringify({ version: ARCHIVE_VERSION, ...descriptor });
  await store.put(keyOf(descriptor.volume), [Buffer.from(`${text}\n${sumOf(text)}\n`)]);
}

/** Undefined where the volume has no archive. @throws ARCHIVE_DAMAGED, ARCHIVE_VERSION, ARCHIVE_STORE_FAILED */
export async function readDescriptor(
  store: ObjectStore,
  volume: VolumeId,
): Promise<ArchiveDescriptor | undefined> {
  const key = keyOf(volume);
  const object = (await store.list(key)).find((one) => one.key === key);
  if (!object) return undefined;
  const [text = '', sum] = Buffer.from(await store.read(key, 0, object.sizeBytes))
    .toString()
    .split('\n');
  if (sum !== sumOf(text)) throw archiveErrors.ARCHIVE_DAMAGED([key, 'its checksum does not hold']);
  const { version, ...descriptor } = JSON.parse(text) as ArchiveDescriptor & { version: number };
  if (descriptor.volume !== volume) throw archiveErrors.ARCHIVE_DAMAGED([key, 'it describes another volume']);
  if (version !== ARCHIVE_VERSION) throw archiveErrors.ARCHIVE_VERSION([key, version]);
  return descriptor;
}

/** Volumes that have an archive. @throws ARCHIVE_STORE_FAILED */
export async function archivedVolumes(store: ObjectStore): Promise<VolumeId[]> {
  const objects = await store.list('volumes/');
  const parts = objects.map(({ key }) => key.split('/'));
  return parts.filter(({ length, 2: name }) => length === 3 && name === NAME).map((of) => of[1] as VolumeId);
}

function sumOf(text: string): string {
  return crc32(Buffer.from(text)).toString(16).padStart(8, '0');
}

function keyOf(volume: string): string {
  return `${archivePrefix(volume)}${NAME}`;
}
