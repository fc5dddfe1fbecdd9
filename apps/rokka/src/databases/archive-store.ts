/**
 * The store that has the history of this cluster's databases: every process of it opens it here.
 *
 * Invariant: nobody else's objects lie below its prefix in a bucket, because the cluster's id is part of it: the keeper of an archive
 * removes whatever belongs to no database that it knows.
 */
import { DirectoryStore, type ObjectStore, S3Store } from '@rokka/archive';
import { CodedError, isCoded, systemClock, systemRandom } from '@rokka/kernel';
import { type ArchiveChoice, type DataIdentity, dataPaths, readIdentity } from '../data-directory.ts';
import { rokkaErrors } from '../errors.ts';
import { describeArchive } from './archive-choice.ts';
import { readArchiveKeys } from './archive-keys.ts';

/** One for each directory: a client has connections, and the keys. */
const buckets = new Map<string, S3Store>();

export function archiveStore(directory: string): ObjectStore {
  const known = buckets.get(directory);
  if (known) return known;
  const identity = readIdentity(directory);
  if (!identity?.archive) return new DirectoryStore(dataPaths.archive(directory));
  const store = bucketStore(directory, identity.cluster, identity.archive);
  buckets.set(directory, store);
  return store;
}

/**
 * Whether history is kept at all. Where databases move between machines a directory of one of them would have a part of it.
 */
export const hasArchive = ({ registry, archive }: DataIdentity): boolean =>
  registry === undefined || archive !== undefined;

/** This process is ending, and waits for no endpoint. */
export function closeArchiveStore(directory: string): void {
  buckets.get(directory)?.[Symbol.dispose]();
  buckets.delete(directory);
}

/**
 * Writes, reads, lists and removes an object, and asks for it once more, where the archive is in a bucket: what is wrong with bucket or keys is found out
 * while somebody looks.
 * @throws ROKKA_ARCHIVE_UNUSABLE, ROKKA_ARCHIVE_KEYS
 */
export async function probeArchive(directory: string, { cluster, archive }: DataIdentity): Promise<void> {
  if (!archive) return;
  using store = bucketStore(directory, cluster, archive);
  const key = `probe-${systemRandom.hex(8)}`;
  try {
    await store.put(key, [Buffer.from(key)]);
    const found = Buffer.from(await store.read(key, 0, key.length)).toString();
    const listed = await store.list(key);
    await store.remove(key);
    const left = await store.read(key, 0, 1).catch(absent);
    if (found === key && listed.length === 1 && left === undefined) return;
    throw new CodedError('ARCHIVE_DAMAGED', 'what was written there is not what is read');
  } catch (cause) {
    if (!isCoded(cause) || cause.code === 'ROKKA_ARCHIVE_KEYS') throw cause;
    const { why = cause.message } = cause.detail as { why?: string };
    throw rokkaErrors.ROKKA_ARCHIVE_UNUSABLE([describeArchive(archive), why], { cause });
  }
}

/** Who may not list is told that access is denied, whether it is there or not. */
function absent(error: unknown): undefined {
  if (!isCoded(error, 'ARCHIVE_NO_OBJECT')) throw error;
}

function bucketStore(directory: string, cluster: string, archive: ArchiveChoice): S3Store {
  const { location, region, endpoint } = archive;
  const { host: bucket, pathname } = new URL(location);
  return new S3Store({
    bucket,
    prefix: `${pathname.slice(1)}/${cluster}/`.replace(/^\//, ''),
    region,
    ...(endpoint !== undefined && { endpoint }),
    credentials: async () => readArchiveKeys(dataPaths.archiveKeys(directory), process.env),
    clock: systemClock,
  });
}
