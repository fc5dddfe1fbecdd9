/**
 * Who a data directory is: made once, never changed, and checked before anything else in the directory is read. A node that
 * lost its data must come back as a new member (aurora.md trap 13), so an identity without its log is refused, not healed.
 */
import { isCoded, type Disk, type NodeId, type Random, type Zone } from '@rokka/kernel';
import { storageErrors } from './errors.ts';
import { diskError } from './log-files.ts';

export const DIRECTORY_FORMAT = 2;
/** The oldest that is read, and upgraded (format-upgrade.ts). */
const DIRECTORY_FORMAT_OLDEST = 1;

export interface Identity {
  format: 'rokka-storage';
  version: number;
  cluster: string;
  node: NodeId;
  zone: Zone;
  /** Random bytes in hexadecimal that every batch of the log repeats. */
  log: string;
  /** False until the log's first file is durable: what is found then was never used. */
  ready: boolean;
}

export interface IdentityOptions {
  disk: Disk;
  directory: string;
  random: Random;
  cluster: string;
  zone: Zone;
  /** Where the caller knows which node this must be. */
  node?: NodeId | undefined;
}

const FILE = 'identity.json';

/**
 * The identity in the directory; a new one, not ready yet, where there is none.
 * @throws STORAGE_DIRECTORY_VERSION, STORAGE_DIRECTORY_FOREIGN, STORAGE_DISK_FULL, STORAGE_DISK_FAILED
 */
export function openIdentity(options: IdentityOptions): Identity {
  const { disk, directory, random, cluster, zone, node } = options;
  const path = `${directory}/${FILE}`;
  try {
    if (!disk.exists(directory)) disk.makeDirectory(directory);
    if (disk.exists(path)) {
      // Whoever wrote it may have been killed before its name was durable. Were it to fall back to an older one, that is not
      // ready, what is acknowledged from here on would be thrown away at the next start.
      disk.syncDirectory(directory);
      return checkIdentity(readText(disk, path), options);
    }
    const identity: Identity = {
      format: 'rokka-storage',
      version: DIRECTORY_FORMAT,
      cluster,
      node: node ?? (random.hex(8) as NodeId),
      zone,
      log: random.hex(8),
      ready: false,
    };
    writeIdentity(disk, directory, identity);
    return identity;
  } catch (error) {
    throw isCoded(error) ? error : diskError(error, path);
  }
}

/** Whether a node was ever made in the directory. An empty one may be the place where a disk is to be mounted. */
export function holdsNode(disk: Disk, directory: string): boolean {
  return disk.exists(`${directory}/${FILE}`);
}

/**
 * The log is there, and its newest file begins with a manifest of this format: from now on its absence is a loss, and
 * programs that know earlier formats alone are refused.
 */
export function markReady(disk: Disk, directory: string, identity: Identity): Identity {
  const ready = { ...identity, version: DIRECTORY_FORMAT, ready: true };
  writeIdentity(disk, directory, ready);
  return ready;
}

function checkIdentity(text: string, options: IdentityOptions): Identity {
  const { directory, cluster, zone, node } = options;
  let found: Partial<Identity>;
  try {
    found = JSON.parse(text) as Partial<Identity>;
  } catch (cause) {
    throw storageErrors.STORAGE_DIRECTORY_VERSION(
      [directory, 'an unreadable identity', String(DIRECTORY_FORMAT)],
      {
        cause,
      },
    );
  }
  const format = `${found.format} ${found.version}`;
  const version = Number(found.version);
  const readable = version >= DIRECTORY_FORMAT_OLDEST && version <= DIRECTORY_FORMAT;
  if (found.format !== 'rokka-storage' || !readable)
    throw storageErrors.STORAGE_DIRECTORY_VERSION([directory, format, `rokka-storage ${DIRECTORY_FORMAT}`]);
  const foreign = (what: string, given: string, expected: string) =>
    storageErrors.STORAGE_DIRECTORY_FOREIGN([directory, `${what} ${given}`, `${what} ${expected}`]);
  if (found.cluster !== cluster) throw foreign('cluster', String(found.cluster), cluster);
  if (found.zone !== zone) throw foreign('zone', String(found.zone), zone);
  if (node !== undefined && found.node !== node) throw foreign('node', String(found.node), node);
  return found as Identity;
}

function readText(disk: Disk, path: string): string {
  using file = disk.open(path);
  const bytes = new Uint8Array(file.sizeBytes());
  return new TextDecoder().decode(bytes.subarray(0, file.read(bytes, 0)));
}

function writeIdentity(disk: Disk, directory: string, identity: Identity): void {
  const path = `${directory}/${FILE}`;
  const fresh = `${path}.new`;
  if (disk.exists(fresh)) disk.remove(fresh);
  {
    using file = disk.open(fresh, { create: true });
    file.write([new TextEncoder().encode(`${JSON.stringify(identity, undefined, 2)}\n`)], 0);
    file.sync();
  }
  disk.rename(fresh, path);
  disk.syncDirectory(directory);
}
