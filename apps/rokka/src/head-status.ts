/** What is known of the head of a database: its own words, and what its supervisor sees. */
import type { DatabaseEngine } from '@rokka/databases';
import type { VolumeStatus } from '@rokka/volume';
import type { SupervisedChild } from './child.ts';
import type { EngineStatus } from './processes/engine.ts';
import { hasShim } from './processes/legacy-fds.ts';

export interface HeadDetail extends VolumeStatus {
  readonly engine: EngineStatus;
  readonly memoryBytes: number;
  /** Where it is a child of a shim: its own process, how often one took over from another, and whether the next one can. */
  readonly process?: { readonly pid: number; readonly takeOvers: number; readonly canBeTakenOver: boolean };
  readonly shimBytes?: number;
}

/**
 * The process that writes the volume, how often another one had to, and its shim where it has one: as its supervisor sees its child, and
 * what that says.
 */
export function headProcess(
  of: { readonly engine: DatabaseEngine; readonly files?: { readonly mount?: string } | undefined },
  child: Pick<SupervisedChild, 'pid' | 'restarts' | 'ready'> | undefined,
  detail: HeadDetail | undefined,
): { pid: number | undefined; restarts: number; shimPid?: number } {
  const { pid, restarts = 0, ready = false } = child ?? {};
  // Until it is ready it is not known which of its processes has what to do.
  const shimmed = hasShim({ engine: of.engine, mounted: of.files?.mount !== undefined });
  if (!shimmed || pid === undefined || !ready) return { pid, restarts };
  const { process } = detail ?? {};
  return { pid: process?.pid, restarts: restarts + (process?.takeOvers ?? 0), shimPid: pid };
}
