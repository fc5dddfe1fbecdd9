/** The machines of a cluster, as its nodes tell them: the one that made it, and those that joined, one a node of theirs. */
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import type { Databases } from '@rokka/databases';
import type { Clock } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import type { Machine } from '@rokka/services';
import { parseTlsAddress } from '@rokka/transport';
import { listNodes, type NodeRecord } from '../cluster.ts';

/** What a machine can say of itself. */
export type OwnMachine = Pick<Machine, 'host' | 'privateIp' | 'launchedAtMs' | 'bootBytes'>;

const SECOND_MS = 1000;

/** As it is now: a name, an address, when it was started, and the disk that has the directory. */
export function ownMachine(directory: string, clock: Clock): OwnMachine {
  const { blocks, bsize } = fs.statfsSync(directory);
  const addresses = Object.values(os.networkInterfaces()).flatMap((each) => each ?? []);
  const outward = addresses.find(({ family, internal }) => family === 'IPv4' && !internal);
  // The same second whenever it is asked.
  const launchedAtMs = Math.round(clock.wallMs() / SECOND_MS - os.uptime()) * SECOND_MS;
  return { host: os.hostname(), privateIp: outward?.address, launchedAtMs, bootBytes: blocks * bsize };
}

/**
 * Those that may have volumes: all of them; or, where databases and volumes move between machines, the one that runs them, whichever it is
 * now, under the name of the one that made the cluster.
 */
export async function machinesWithVolumes(of: {
  registry: Registry;
  databases: Pick<Databases, 'moves'>;
  own: OwnMachine;
}): Promise<Machine[]> {
  const machines = machinesOf(await listNodes(of.registry), of.own);
  return of.databases.moves ? machines.slice(0, 1) : machines;
}

/**
 * The one that made the cluster first.
 * @param nodes every node that the cluster ever had, the first first
 */
export function machinesOf(nodes: readonly NodeRecord[], own: OwnMachine): Machine[] {
  const [first] = nodes;
  if (!first) return [];
  // Whatever becomes of its node, its name stays the machine's.
  const made: Machine = { ...own, key: first.node, zone: zoneOf(first), isFirst: true };
  const joined = Map.groupBy(
    nodes.filter(({ machine, gone }) => machine !== undefined && !gone),
    ({ machine = '' }) => machine,
  );
  return [made, ...[...joined].map(([key, [node]]) => joinedMachine(key, node))];
}

function joinedMachine(key: string, node: NodeRecord): Machine {
  const host = node.address === undefined ? key : parseTlsAddress(node.address.replace(/^tls:/, '')).host;
  return {
    key,
    host,
    ...(net.isIP(host) && { privateIp: host }),
    zone: zoneOf(node),
    isFirst: false,
  };
}

const zoneOf = ({ zone }: NodeRecord) => zone as string as Machine['zone'];
