/** What is said of a database to people and programs: its record, its state, and what runs for it. */
import type { DatabaseEntry, DatabasePhase, DatabaseRecord } from '@rokka/databases';
import { type HeadDetail, headProcess } from '../head-status.ts';
import { table } from '../terminal.ts';
import type { DatabaseUnit, Head } from './database-unit.ts';

export interface DatabaseStatus extends DatabaseRecord {
  readonly phase: DatabasePhase;
  readonly reason?: string;
  /** When that was found. */
  readonly phaseAtMs?: number;
  /** The generation that runs, or ran last. */
  readonly runningGeneration?: number;
  /** The password that the server has. */
  readonly setPasswordVersion?: number;
  /** Where its files are seen, where it has no server; absent while they are not. */
  readonly mountPoint?: string;
  /** Of the head. */
  readonly pid?: number;
  /** What it is a child of, where something outlives it (processes/shim-process.ts). */
  readonly shimPid?: number;
  readonly restarts: number;
  readonly postgresPid?: number;
  readonly memoryBytes?: number;
  /** What it does just now. */
  readonly progress?: string;
}

const MEBIBYTE = 1024 * 1024;

export async function describeDatabase(
  { record, state }: DatabaseEntry,
  unit: DatabaseUnit | undefined,
): Promise<DatabaseStatus> {
  const child = unit?.child;
  const detail = (await child?.status()) as HeadDetail | undefined;
  const generation = state?.generation;
  const passwordVersion = state?.passwordVersion;
  const { pid, restarts, shimPid } = headProcess(record, child, detail);
  const postgresPid = detail?.engine.postgresPid;
  return {
    ...record,
    phase: phaseNow(state, child),
    restarts,
    ...(state && { phaseAtMs: state.atMs }),
    ...(state?.mountPoint === undefined ? {} : { mountPoint: state.mountPoint }),
    ...(state?.reason === undefined ? {} : { reason: state.reason }),
    ...(generation === undefined ? {} : { runningGeneration: generation }),
    ...(passwordVersion === undefined ? {} : { setPasswordVersion: passwordVersion }),
    ...(pid === undefined ? {} : { pid }),
    ...(shimPid === undefined ? {} : { shimPid }),
    ...(postgresPid === undefined ? {} : { postgresPid }),
    ...(detail && { memoryBytes: detail.memoryBytes }),
    ...(unit?.progress ? { progress: unit.progress } : {}),
  };
}

/** Of one that another machine runs: what that one has said of it. */
export function describeElsewhere({ record, state }: DatabaseEntry): DatabaseStatus {
  return {
    ...record,
    phase: state?.phase ?? 'creating',
    restarts: 0,
    ...(state && { phaseAtMs: state.atMs }),
    ...(state?.reason === undefined ? {} : { reason: state.reason }),
  };
}

/** What the state says, unless the head has died since it was written. */
function phaseNow(state: DatabaseEntry['state'], child: Head | undefined): DatabasePhase {
  const { phase = 'creating' } = state ?? {};
  return phase === 'available' && !child?.ready ? 'starting' : phase;
}

/** A line each: those that have a server, then the volumes without one. */
export function describeDatabases(databases: readonly DatabaseStatus[]): string {
  const { yes: volumes = [], no: served = [] } = Object.groupBy(databases, ({ files }) =>
    files ? 'yes' : 'no',
  );
  const tables = [
    table(
      ['database', 'engine', 'port', 'phase', 'head', 'postgres', 'MiB', 'restarts', ''],
      served.map((one) => [one.name, one.engine, one.port, ...running(one, [one.postgresPid ?? '-'])]),
    ),
  ];
  if (volumes.length > 0)
    tables.push(
      table(
        ['volume', 'size', 'mounted at', 'phase', 'head', 'MiB', 'restarts', ''],
        volumes.map((one) => [one.name, sizeOf(one), placeOf(one), ...running(one)]),
      ),
    );
  return tables.join('\n\n');
}

function running(one: DatabaseStatus, more: (string | number)[] = []): (string | number)[] {
  return [
    one.phase,
    one.pid ?? '-',
    ...more,
    one.memoryBytes === undefined ? '' : Math.round(one.memoryBytes / MEBIBYTE),
    one.restarts,
    one.reason ?? one.progress ?? '',
  ];
}

function placeOf({ mountPoint = '-', files }: DatabaseStatus): string {
  return files?.machine === undefined ? mountPoint : `${mountPoint} on ${files.machine}`;
}

function sizeOf({ files }: DatabaseStatus): string {
  const mebibytes = (files?.sizeBytes ?? 0) / MEBIBYTE;
  return mebibytes >= 1024 ? `${(mebibytes / 1024).toFixed(1)} GiB` : `${Math.round(mebibytes)} MiB`;
}
