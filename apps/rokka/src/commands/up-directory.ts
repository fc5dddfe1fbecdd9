/** The data directory that `rokka up` works on: of the machine that makes a cluster or made it, or of a standby. */
import { systemRandom } from '@rokka/kernel';
import type { Arguments } from '../arguments.ts';
import { openClusterRegistry } from '../cluster-registry.ts';
import { DataDirectory, type DataIdentity, readIdentity, type RegistryChoice } from '../data-directory.ts';
import { chooseArchive, requireSameArchive } from '../databases/archive-choice.ts';
import { probeArchive } from '../databases/archive-store.ts';
import { rokkaErrors } from '../errors.ts';

/**
 * Opens it, making it where it is missing.
 * @throws ROKKA_DATA_*, ROKKA_REGISTRY_FIXED, ROKKA_ARCHIVE_*, ROKKA_STANDBY_NEEDS, ROKKA_WRONG_DIRECTORY, what the registry throws where a
 *   new directory cannot reach it, what `joinCluster` throws
 */
export async function openDataDirectory(args: Arguments): Promise<DataDirectory> {
  const { dataDirectory: directory, registry, archive } = args;
  const known = readIdentity(directory);
  if (known && registry) requireSameRegistry(directory, known, registry);
  if (known && archive) requireSameArchive(directory, known.archive, archive);
  if (args.standby) return openStandby(args, known);
  if (known?.joined) {
    const node = known.joined.as === 'node';
    throw rokkaErrors.ROKKA_WRONG_DIRECTORY([
      directory,
      `a machine that joined as a ${node ? 'storage node' : 'standby'}`,
      node ? 'start it with rokka join' : 'start it with rokka up --standby',
    ]);
  }
  const fresh: DataIdentity = {
    cluster: systemRandom.hex(16),
    ...(registry && { registry }),
    ...(archive && { archive: chooseArchive(archive) }),
  };
  // Found out before anything is written: a directory keeps its registry and its archive for ever.
  if (!known && registry) await reach(directory, fresh);
  // Later no database waits for its backups: what is wrong with them stands in the log, and in the status.
  if (!known) await probeArchive(directory, fresh);
  return DataDirectory.open(directory, () => fresh);
}

async function openStandby(args: Arguments, known: DataIdentity | undefined): Promise<DataDirectory> {
  const { dataDirectory: directory, registry, listen, join: token } = args;
  // What it takes to join, certificates above all, is loaded only by who does.
  const { joinDirectory, openJoined } = await import('../machines/join-directory.ts');
  if (token === undefined) {
    if (!known) throw rokkaErrors.ROKKA_STANDBY_NEEDS(['--join TOKEN, which rokka token --standby prints']);
    return openJoined(directory, 'head');
  }
  if (!listen) throw rokkaErrors.ROKKA_STANDBY_NEEDS(['--listen HOST, an address of this machine']);
  if (!registry && !known)
    throw rokkaErrors.ROKKA_STANDBY_NEEDS(['--registry etcd:…, the one of the first machine']);
  return joinDirectory({
    directory,
    token,
    zone: undefined,
    listen,
    as: 'head',
    ...(registry && { registry }),
  });
}

async function reach(directory: string, identity: DataIdentity): Promise<void> {
  await using registry = await openClusterRegistry(directory, identity);
  await registry.list('databases/');
}

function requireSameRegistry(directory: string, known: DataIdentity, given: RegistryChoice): void {
  const own = known.registry?.location ?? 'its own SQLite file';
  if (own !== given.location) throw rokkaErrors.ROKKA_REGISTRY_FIXED([directory, own, given.location]);
}
