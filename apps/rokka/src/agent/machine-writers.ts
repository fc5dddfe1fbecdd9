/**
 * The writers of this machine: of which kinds, in which order they freeze, and where their scripts are.
 *
 * Scripts come first: what they speak for may use the servers. The kernel comes last: it writes out what all of them have written.
 */
import * as path from 'node:path';
import type { Clock } from '@rokka/kernel';
import {
  files,
  mariadbKind,
  type MountedVolume,
  postgresql,
  recoverScripts,
  redisKind,
  script,
  sqlite,
  type Writer,
  type WriterKind,
} from '@rokka/snapshots';
import { rokkaErrors } from '../errors.ts';

export interface MachineWritersOptions {
  /** The directory of this machine's own pre- and post-scripts. */
  readonly scripts: string;
  /** The agent's own, on no volume that is copied: an attempt is noted down there before its scripts run. */
  readonly state: string;
  readonly clock: Clock;
}

export interface MachineWriters {
  /**
   * Those that have something on the volumes, tier by tier.
   * @throws what a kind throws that found something and cannot reach it
   */
  find(
    volumes: readonly MountedVolume[],
    of: { noWriters: boolean; signal: AbortSignal },
  ): Promise<Writer[][]>;
  /**
   * For one course at a time: two would let each other's applications go. Dispose it when every writer is disposed.
   * @throws ROKKA_WRITERS_BUSY
   */
  lease(): Disposable;
  /**
   * What a process before this one has stopped goes on. Before anything else is done with the writers.
   * @throws what `recoverScripts` throws; the reason of its signal
   */
  recover(): Promise<void>;
}

/** Less than a start of the agent may take. */
const RECOVERY_MS = 120_000;

export function machineWriters({ scripts, state, clock }: MachineWritersOptions): MachineWriters {
  const own = { directory: scripts, stateDirectory: path.join(state, 'writers') };
  const tiers: readonly (readonly WriterKind[])[] = [
    [script(own)],
    [postgresql(), mariadbKind({ clock }), redisKind({ clock }), sqlite()],
  ];
  const find = async (kinds: readonly WriterKind[], volumes: readonly MountedVolume[], signal: AbortSignal) =>
    (await Promise.all(kinds.map((kind) => kind.discover({ volumes, signal })))).flat();
  let isLeased = false;
  return {
    lease() {
      if (isLeased) throw rokkaErrors.ROKKA_WRITERS_BUSY([]);
      isLeased = true;
      return { [Symbol.dispose]: () => void (isLeased = false) };
    },
    async find(volumes, { noWriters, signal }) {
      const applications: typeof tiers = noWriters ? [] : tiers;
      return Promise.all([...applications, [files]].map((kinds) => find(kinds, volumes, signal)));
    },
    async recover() {
      await recoverScripts(own, AbortSignal.timeout(RECOVERY_MS));
    },
  };
}
