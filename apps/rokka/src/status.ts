/** What `status` shows, for people and as JSON. The types are what the supervisor answers on its control socket. */
import type { RestoreTest } from '@rokka/services';
import type { NodeStatus as StorageNodeStatus } from '@rokka/storage';
import type { NodeRecord } from './cluster.ts';
import { type DatabaseStatus, describeDatabases } from './databases/database-status.ts';
import type { HeadDetail } from './head-status.ts';
import { table } from './terminal.ts';

export interface NodeStatus extends NodeRecord {
  readonly pid?: number;
  readonly restarts: number;
  readonly error?: string;
  /** Protection groups, of all databases, in which it is a member; absent where the registry does not say. */
  readonly groups?: number;
  readonly detail?: StorageNodeStatus;
}

export interface SupervisorStatus {
  readonly cluster: string;
  readonly pid: number;
  readonly engine: 'native' | 'pglite';
  readonly port: number;
  /** On the disk of the data directory. */
  readonly freeBytes: number;
  readonly nodes: readonly NodeStatus[];
  /** Absent where none are wished for. */
  readonly spares?: SparesStatus;
  /** Which machine runs the database, where several may; empty while none does. */
  readonly holder?: string;
  /** The AWS API, where it is wanted. */
  readonly gateway?: GatewayPart;
  /** It carries out what Run Command sends to this machine. */
  readonly agent?: Part;
  readonly head: {
    readonly pid?: number;
    /** What it is a child of, where something outlives it (processes/shim-process.ts). */
    readonly shimPid?: number;
    readonly restarts: number;
    readonly ready: boolean;
    readonly detail?: HeadDetail;
  };
  /** All of them, main among them; none where main moves between machines. */
  readonly databases: readonly DatabaseStatus[];
}

export interface SparesStatus {
  /** How many each zone is to have. */
  readonly perZone: number;
  /** How many could take over from a member of each protection group. */
  readonly zones: readonly { readonly zone: string; readonly spares: number }[];
}

interface Part {
  readonly pid?: number;
  readonly ready: boolean;
  /** Why it ended last; absent while it never did. */
  readonly error?: string;
}

interface GatewayPart extends Part {
  readonly port: number;
  /** That somebody has scheduled, in any account; absent where it does not answer. */
  readonly restoreTests?: readonly RestoreTest[];
}

/** Of a machine that joined: what its own supervisor knows. */
export interface JoinedStatus {
  readonly joined: 'node' | 'head';
  readonly cluster: string;
  readonly pid: number;
  /** `host:port` where it registers. */
  readonly desk: string;
  /** Since the desk answered last. */
  readonly sinceHeardMs?: number;
  readonly node: NodeStatus;
  readonly freeBytes: number;
}

const MEBIBYTE = 1024 * 1024;
/** Six nodes each want room for the next file of their logs. */
const FREE_BYTES_LOW = 256 * MEBIBYTE;

/** A page for a terminal: the nodes by zone, then the volume's points. */
export function describeStatus(status: SupervisorStatus): string {
  const { head } = status;
  const volume = head.detail;
  const lines = [describeNodes(status), '', ...(status.spares ? [sparesLine(status.spares)] : [])];
  if (status.holder !== undefined)
    lines.push(`database    ${status.holder === '' ? 'held by nobody' : `held by ${status.holder}`}`);
  if (!volume) lines.push(`head        ${headWithoutVolume(head)}`);
  else lines.push(...volumeLines(status, volume));
  if (status.databases.length > 1) lines.push('', describeDatabases(status.databases), '');
  const { gateway } = status;
  if (gateway) lines.push(`AWS API     port ${gateway.port}, ${describePart(gateway)}`);
  const { agent } = status;
  lines.push(...restoreTestLines(gateway?.restoreTests ?? []));
  if (agent) lines.push(`agent       ${describePart(agent)}`);
  lines.push(diskLine(status.freeBytes));
  return lines.join('\n');
}

function describePart({ ready, pid, error }: Part): string {
  if (ready) return `process ${pid}`;
  return error === undefined ? 'starting' : `starting again: ${error}`;
}

export function describeJoined(status: JoinedStatus): string {
  const { node, desk, sinceHeardMs } = status;
  const memory = node.detail?.memory.residentBytes;
  const state = node.pid === undefined || !node.detail ? 'down' : node.leaving ? 'leaving' : 'up';
  const row = [
    node.zone,
    node.ordinal,
    node.address?.replace('tls:', '') ?? '',
    node.pid ?? '-',
    state,
    node.detail?.segments.length ?? '',
    memory === undefined ? '' : Math.round(memory / MEBIBYTE),
    node.restarts,
    node.error ?? node.detail?.failure?.message ?? '',
  ];
  const heard =
    sinceHeardMs === undefined ? 'not heard yet' : `heard ${Math.round(sinceHeardMs / 1000)} s ago`;
  return [
    table(['zone', 'node', 'address', 'pid', 'state', 'segments', 'MiB', 'restarts', ''], [row]),
    '',
    `cluster     ${status.cluster}, registered at ${desk}, ${heard}`,
    diskLine(status.freeBytes),
  ].join('\n');
}

/** One for each that somebody has to look at. */
export const restoreTestLines = (tests: readonly RestoreTest[]): string[] =>
  tests.flatMap(({ association, failedAtMs, why, succeededAtMs, isOverdue }) => {
    const last =
      succeededAtMs === undefined ? 'it never went well' : `it last went well ${timeOf(succeededAtMs)}`;
    if (failedAtMs !== undefined)
      return [`restoring   ${association} failed ${timeOf(failedAtMs)}, ${last}: ${oneLine(why ?? '')}`];
    return isOverdue ? [`restoring   ${association} is overdue: ${last}`] : [];
  });

const timeOf = (ms: number) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
const oneLine = (text: string) => text.replaceAll(/\s+/g, ' ');

/** The nodes by zone: what each holds, and how it keeps up in the first protection group. */
export function describeNodes({ head, nodes }: SupervisorStatus): string {
  const volume = head.detail;
  const member = (node: string) => volume?.groups[0]?.members.find((one) => one.node === node);
  const rows = nodes.map((node) => {
    const { kind = '', scl = '', lagLsn = '', up = false, hydrating = false } = member(node.node) ?? {};
    const memory = node.detail?.memory.residentBytes;
    return [
      node.zone,
      node.ordinal,
      kind,
      node.pid ?? (node.machine === undefined ? '-' : (node.address?.replace('tls:', '') ?? '-')),
      !node.detail && node.pid === undefined ? 'down' : stateOf(node, { up, hydrating, holds: node.groups }),
      node.groups ?? '',
      scl,
      lagLsn,
      memory === undefined ? '' : Math.round(memory / MEBIBYTE),
      node.restarts,
      node.error ?? node.detail?.failure?.message ?? '',
    ];
  });
  return table(
    ['zone', 'node', 'kind', 'pid', 'state', 'segments', 'SCL', 'lag', 'MiB', 'restarts', ''],
    rows.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0)),
  );
}

function stateOf(
  node: NodeStatus,
  seen: { up: boolean; hydrating: boolean; holds: number | undefined },
): string {
  if (node.leaving) return seen.holds === 0 ? 'empty' : 'leaving';
  if (seen.hydrating) return 'hydrating';
  if (seen.holds === 0) return 'spare';
  return seen.up ? 'up' : 'starting';
}

export function sparesLine({ perZone, zones }: SparesStatus): string {
  const wanted = `spares      ${perZone} wanted in each zone`;
  const few = zones.filter(({ spares }) => spares < perZone);
  if (few.length === 0) return wanted;
  const has = few.map(
    ({ zone, spares }) => `zone ${zone} has ${spares === 0 ? 'no spare' : `only ${spares}`}`,
  );
  return `${wanted}: ${has.join(', ')}`;
}

function diskLine(freeBytes: number): string {
  const words = `disk        ${Math.round(freeBytes / MEBIBYTE)} MiB free`;
  return freeBytes < FREE_BYTES_LOW ? `${words}: free some, writers wait when it is full` : words;
}

function headWithoutVolume({ pid, shimPid }: SupervisorStatus['head']): string {
  if (shimPid !== undefined) return 'another process is taking over';
  return pid === undefined ? 'down' : `process ${pid}, starting`;
}

function volumeLines(status: SupervisorStatus, volume: HeadDetail): string[] {
  const { engine } = volume;
  return [
    `head        process ${status.head.pid}, ${Math.round(volume.memoryBytes / MEBIBYTE)} MiB, restarts ${status.head.restarts}${status.head.shimPid === undefined ? '' : `, below shim ${status.head.shimPid}`}`,
    `engine      ${engine.kind} ${engine.version ?? ''}, process ${engine.postgresPid ?? '-'}, port ${status.port}`,
    `volume      epoch ${volume.volumeEpoch}, ${volume.groups.length} protection group${volume.groups.length === 1 ? '' : 's'}`,
    ...volume.groups.flatMap(({ pg, changes }) =>
      changes.map(
        ({ leaves, joins, forced }) =>
          `members     group ${pg}: ${joins} takes over from ${leaves}${forced ? ', which is forced out' : ''}`,
      ),
    ),
    `durable     VDL ${volume.vdl}, VCL ${volume.vcl}, last LSN ${volume.lastLsn}, ${volume.outstandingBytes} bytes on their way`,
  ];
}
