/**
 * Makes a data directory for a machine that joins. A crash at any moment leaves something that the same command, with the
 * same token, can go on with: id and key are on the disk before the token is spent, and a token serves one key again.
 */
import * as fs from 'node:fs';
import { systemClock, systemRandom } from '@rokka/kernel';
import { decodeJoinToken, joinCluster, makeKey, writeIdentityFile } from '@rokka/trust';
import type { TlsIdentity } from '@rokka/transport';
import { formatTlsAddress, parseTlsAddress } from '@rokka/transport';
import { zoneNamed } from '../cluster.ts';
import {
  DataDirectory,
  dataPaths,
  holderOf,
  isHeld,
  type JoinedIdentity,
  readIdentity,
  requireEmpty,
  translated,
  writeDurably,
} from '../data-directory.ts';
import { rokkaErrors } from '../errors.ts';
import type { ListenAddress } from './listen-address.ts';

export interface JoinRequest {
  directory: string;
  token: string;
  /** Where the machine says it is; a token for another zone is refused. */
  zone: string | undefined;
  listen: ListenAddress;
}

/** What is kept until the directory is made. */
interface Joining {
  readonly id: string;
  readonly key: string;
}

/**
 * Joins, and opens the directory; for one that is a member already, gives it a new certificate.
 * @throws ROKKA_OTHER_CLUSTER, ROKKA_OTHER_ZONE, ROKKA_WRONG_DIRECTORY, ROKKA_DATA_*, what `joinCluster` throws
 */
export async function joinDirectory(request: JoinRequest): Promise<DataDirectory> {
  const { directory, listen, zone } = request;
  const token = decodeJoinToken(request.token);
  const known = readIdentity(directory);
  if (known && !known.joined)
    throw rokkaErrors.ROKKA_WRONG_DIRECTORY([
      directory,
      'a machine that made a cluster',
      'choose another --data',
    ]);
  if (known && known.cluster !== token.cluster)
    throw rokkaErrors.ROKKA_OTHER_CLUSTER([directory, known.cluster, token.cluster]);
  if (known?.joined && known.joined.zone !== token.zone)
    throw rokkaErrors.ROKKA_OTHER_ZONE([directory, known.joined.zone, token.zone]);
  if (isHeld(directory)) throw rokkaErrors.ROKKA_DATA_HELD([directory, holderOf(directory)]);
  const { id, key } = prepare(directory, known?.joined);
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
    as: 'node',
    id,
    zone: zoneNamed(joinedZone),
    desk: deskOf(token.addresses[0] ?? ''),
  };
  const data = DataDirectory.open(directory, () => ({ cluster: member.cluster, joined }));
  return keep(data, identity);
}

/** The directory of a machine that joined before. @throws ROKKA_NOT_JOINED, ROKKA_WRONG_DIRECTORY, ROKKA_DATA_* */
export function openJoined(directory: string): DataDirectory {
  const known = readIdentity(directory);
  if (!known) throw rokkaErrors.ROKKA_NOT_JOINED([directory]);
  requireNode(directory, known.joined);
  return DataDirectory.open(directory, () => known);
}

function requireNode(directory: string, joined: JoinedIdentity | undefined): void {
  if (joined?.as === 'node') return;
  const use = 'start it with rokka up';
  throw rokkaErrors.ROKKA_WRONG_DIRECTORY([directory, 'a machine that runs the database', use]);
}

function prepare(directory: string, joined: JoinedIdentity | undefined): { id: string; key?: string } {
  return translated(directory, () => {
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (!joined) requireEmpty(directory);
    const file = dataPaths.joining(directory);
    if (fs.existsSync(file)) return JSON.parse(fs.readFileSync(file, 'utf8')) as Joining;
    if (joined) return { id: joined.id };
    const joining: Joining = { id: `node-${systemRandom.hex(6)}`, key: makeKey() };
    writeDurably(file, JSON.stringify(joining));
    return joining;
  });
}

function keep(data: DataDirectory, identity: TlsIdentity): DataDirectory {
  try {
    writeIdentityFile(dataPaths.certificate(data.path, 'node-1'), identity);
    fs.rmSync(dataPaths.joining(data.path), { force: true });
    return data;
  } catch (error) {
    data[Symbol.dispose]();
    throw error;
  }
}

/** The port after the one on which machines join; see listen-address.ts. */
function deskOf(address: string): string {
  const { host, port } = parseTlsAddress(address);
  return formatTlsAddress(host, port + 1);
}
