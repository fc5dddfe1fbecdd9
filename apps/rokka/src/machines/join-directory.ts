/**
 * Makes a data directory for a machine that joins. A crash at any moment leaves something that the same command, with the
 * same token, can go on with: id and key are on the disk before the token is spent, and a token serves one key again.
 */
import * as fs from 'node:fs';
import { must, systemClock, systemRandom } from '@rokka/kernel';
import { decodeJoinToken, joinCluster, makeKey, writeIdentityFile } from '@rokka/trust';
import type { TlsIdentity } from '@rokka/transport';
import { parseTlsAddress } from '@rokka/transport';
import { archiveOfCluster, zoneNamed } from '../cluster.ts';
import { openClusterRegistry } from '../cluster-registry.ts';
import {
  type ArchiveChoice,
  DataDirectory,
  dataPaths,
  holderOf,
  isHeld,
  type JoinedIdentity,
  readIdentity,
  type RegistryChoice,
  requireEmpty,
  translated,
  writeDurably,
} from '../data-directory.ts';
import { probeArchive } from '../databases/archive-store.ts';
import { rokkaErrors } from '../errors.ts';
import { deskAddress, type ListenAddress } from './listen-address.ts';

export interface JoinRequest {
  directory: string;
  token: string;
  /** Where the machine says it is; a token for another zone is refused. */
  zone: string | undefined;
  listen: ListenAddress;
  as: JoinedIdentity['as'];
  registry?: RegistryChoice;
}

/** What is kept until the directory is made. */
interface Joining {
  readonly id: string;
  readonly key: string;
}

/**
 * Joins, and opens the directory; for one that is a member already, gives it a new certificate.
 * @throws ROKKA_OTHER_CLUSTER, ROKKA_OTHER_ZONE, ROKKA_WRONG_DIRECTORY, ROKKA_DATA_*, ROKKA_ARCHIVE_*, what `joinCluster` throws, what the
 *   registry throws where one is given
 */
export async function joinDirectory(request: JoinRequest): Promise<DataDirectory> {
  const { directory, listen, zone, as, registry } = request;
  const token = decodeJoinToken(request.token);
  const known = readIdentity(directory);
  if (known) requireRole(directory, known.joined, as);
  if (known && known.cluster !== token.cluster)
    throw rokkaErrors.ROKKA_OTHER_CLUSTER([directory, known.cluster, token.cluster]);
  if (known?.joined && token.role === 'node' && known.joined.zone !== token.zone)
    throw rokkaErrors.ROKKA_OTHER_ZONE([directory, known.joined.zone, token.zone]);
  if (isHeld(directory)) throw rokkaErrors.ROKKA_DATA_HELD([directory, holderOf(directory)]);
  const archive = known || !registry ? undefined : await archiveFor(directory, token.cluster, registry);
  const { id, key } = prepare(directory, as, known?.joined);
  const {
    member,
    zone: joinedZone,
    identity,
  } = await joinCluster({
    token: request.token,
    id,
    ...(key !== undefined && { key }),
    hosts: [listen.host],
    ...(zone !== undefined && { zone }),
    clock: systemClock,
  });
  const joined: JoinedIdentity = {
    as,
    id,
    zone: as === 'node' ? zoneNamed(joinedZone) : '',
    desk: deskAddress(parseTlsAddress(must(token.addresses[0]))),
  };
  const data = DataDirectory.open(directory, () => ({
    cluster: member.cluster,
    joined,
    ...(registry && { registry }),
    ...(archive && { archive }),
  }));
  return keep(data, { as, identity });
}

/**
 * Where the machine will find the history of the databases that it may have to run. That its keys open it is found out before the token is
 * spent, and before somebody relies on the machine.
 */
async function archiveFor(
  directory: string,
  cluster: string,
  registry: RegistryChoice,
): Promise<ArchiveChoice | undefined> {
  const identity = { cluster, registry };
  await using open = await openClusterRegistry(directory, identity);
  const archive = await archiveOfCluster(open);
  if (archive) await probeArchive(directory, { ...identity, archive });
  return archive;
}

/** The directory of a machine that joined before. @throws ROKKA_NOT_JOINED, ROKKA_WRONG_DIRECTORY, ROKKA_DATA_* */
export function openJoined(directory: string, as: JoinedIdentity['as']): DataDirectory {
  const known = readIdentity(directory);
  if (!known) throw rokkaErrors.ROKKA_NOT_JOINED([directory]);
  requireRole(directory, known.joined, as);
  return DataDirectory.open(directory, () => known);
}

function requireRole(directory: string, joined: JoinedIdentity | undefined, as: JoinedIdentity['as']): void {
  if (joined?.as === as) return;
  const [what, use] =
    joined === undefined
      ? ['the machine that made the cluster', 'start it with rokka up, or choose another --data']
      : joined.as === 'node'
        ? ['a machine that joined as a storage node', 'start it with rokka join']
        : ['a machine that joined as a standby', 'start it with rokka up --standby'];
  throw rokkaErrors.ROKKA_WRONG_DIRECTORY([directory, what, use]);
}

function prepare(
  directory: string,
  as: JoinedIdentity['as'],
  joined: JoinedIdentity | undefined,
): { id: string; key?: string } {
  return translated(directory, () => {
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (!joined) requireEmpty(directory);
    const file = dataPaths.joining(directory);
    if (fs.existsSync(file)) return JSON.parse(fs.readFileSync(file, 'utf8')) as Joining;
    if (joined) return { id: joined.id };
    const joining: Joining = { id: `${as}-${systemRandom.hex(6)}`, key: makeKey() };
    writeDurably(file, JSON.stringify(joining));
    return joining;
  });
}

function keep(data: DataDirectory, of: { as: JoinedIdentity['as']; identity: TlsIdentity }): DataDirectory {
  try {
    writeIdentityFile(joinedCertificate(data.path, of.as), of.identity);
    fs.rmSync(dataPaths.joining(data.path), { force: true });
    return data;
  } catch (error) {
    data[Symbol.dispose]();
    throw error;
  }
}

/** Where the certificate is with which the machine joined. */
export const joinedCertificate = (directory: string, as: JoinedIdentity['as']): string =>
  dataPaths.certificate(directory, as === 'node' ? 'node-1' : 'head');
