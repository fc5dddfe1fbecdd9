/** What is said of a database to people and programs: its record, its state, and what runs for it. */
import type { DatabaseEntry, DatabasePhase, DatabaseRecord } from '@rokka/databases';
import type { HeadDetail } from '../status.ts';
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
  /** Of the head. */
  readonly pid?: number;
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
  const { pid, restarts = 0 } = child ?? {};
  const postgresPid = detail?.engine.postgresPid;
  return {
    ...record,
    phase: phaseNow(state, child),
    restarts,
    ...(state && { phaseAtMs: state.atMs }),
    ...(state?.reason === undefined ? {} : { reason: state.reason }),
    ...(generation === undefined ? {} : { runningGeneration: generation }),
    ...(passwordVersion === undefined ? {} : { setPasswordVersion: passwordVersion }),
    ...(pid === undefined ? {} : { pid }),
    ...(postgresPid === undefined ? {} : { postgresPid }),
    ...(detail && { memoryBytes: detail.memoryBytes }),
    ...(unit?.progress ? { progress: unit.progress } : {}),
  };
}

/** What the state says, unless the head has died since it was written. */
function phaseNow(state: DatabaseEntry['state'], child: Head | undefined): DatabasePhase {
  const { phase = 'creating' } = state ?? {};
  return phase === 'available' && !child?.ready ? 'starting' : phase;
}

/** A line each. */
export function describeDatabases(databases: readonly DatabaseStatus[]): string {
  const rows = databases.map((database) => [
    database.name,
    database.engine,
    database.port,
    database.phase,
    database.pid ?? '-',
    database.postgresPid ?? '-',
    database.memoryBytes === undefined ? '' : Math.round(database.memoryBytes / MEBIBYTE),
    database.restarts,
    database.reason ?? database.progress ?? '',
  ]);
  return table(['database', 'engine', 'port', 'phase', 'head', 'postgres', 'MiB', 'restarts', ''], rows);
}
