/**
 * Applications that nobody knows but the machine's owner: executables `stop-NAME` in the directory of the scripts stop them, `start-NAME` starts
 * them, each kind in the order of the names. What files they speak for stands in `speaks-for`, as with the scripts of snapshots.
 *
 * Every `start` runs once the first `stop` was to be run, also where that failed, was killed for being late, or never began; all of them, also
 * where one fails. Where this process ends before that, the next one runs them, after it has ended what is left of the attempt's scripts. So a
 * `start` must bear that its application runs.
 */
import { randomUUID } from 'node:crypto';
import * as path from 'node:path';
import { snapshotErrors } from '../errors.ts';
import type { MountedVolume } from '../writer.ts';
import { endLeftOver, requireSafe, runScript, scriptsNamed, spokenFor } from '../writers/script-runs.ts';
import type { Application, ApplicationKind, ApplicationNote } from './application.ts';

const KIND = 'scripts';
const STOP = 'stop-';
const START = 'start-';
const ATTEMPT_VARIABLE = 'ROKKA_RESTORE_ATTEMPT';
/** For each of them. */
const SCRIPT_MS = 60_000;

export interface StopScriptsOptions {
  /** Where the scripts are. */
  readonly directory: string;
  /** For each script. */
  readonly scriptMs?: number;
}

export function stopScripts(options: StopScriptsOptions): ApplicationKind {
  const { directory } = options;
  return {
    name: KIND,
    async find({ volumes }) {
      const stop = scriptsNamed(directory, STOP);
      const start = scriptsNamed(directory, START);
      if (stop.length + start.length === 0) return { applications: [], immovable: [] };
      demandPairs(stop, start);
      for (const file of [...stop, ...start]) requireSafe(file);
      const note = noteOf({ directory, stop, start, volumes });
      return { applications: [new StopScripts(note, options)], immovable: [] };
    },
    from: (note) => new StopScripts(note as ScriptsNote, options),
  };
}

/** @throws SNAPSHOTS_SCRIPT_ALONE */
function demandPairs(stop: readonly string[], start: readonly string[]): void {
  const nameOf = (file: string, prefix: string) => path.basename(file, '.sh').slice(prefix.length);
  const starts = new Set(start.map((file) => nameOf(file, START)));
  const alone = stop.find((file) => !starts.has(nameOf(file, STOP)));
  if (alone !== undefined)
    throw snapshotErrors.SNAPSHOTS_SCRIPT_ALONE([alone, `${START}${nameOf(alone, STOP)}`]);
}

interface ScriptsDetails {
  readonly stop: readonly string[];
  readonly start: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

type ScriptsNote = ApplicationNote & { readonly details: ScriptsDetails };

function noteOf(of: {
  directory: string;
  stop: readonly string[];
  start: readonly string[];
  volumes: readonly MountedVolume[];
}): ScriptsNote {
  const { directory, stop, start, volumes } = of;
  const environment = {
    ROKKA_RESTORE_VOLUMES: volumes.map(({ volume }) => volume).join(' '),
    ROKKA_RESTORE_MOUNT_POINTS: volumes.map(({ mountPoint }) => mountPoint).join(':'),
    [ATTEMPT_VARIABLE]: randomUUID(),
  };
  const name = `what the scripts in ${directory} stop`;
  return { kind: KIND, id: `${KIND}:${directory}`, name, details: { stop, start, environment } };
}

class StopScripts implements Application {
  readonly note: ScriptsNote;
  readonly paths: readonly string[];
  readonly #scriptMs: number;

  constructor(note: ScriptsNote, { directory, scriptMs = SCRIPT_MS }: StopScriptsOptions) {
    this.note = note;
    this.paths = spokenFor(directory);
    this.#scriptMs = scriptMs;
  }

  /** What it speaks for are files. */
  owns(): Promise<boolean> {
    return Promise.resolve(false);
  }

  async stop(signal: AbortSignal): Promise<void> {
    for (const file of this.note.details.stop) {
      const failed = await this.#run(file, 'stop', signal);
      signal.throwIfAborted();
      if (failed) throw failed;
    }
  }

  async start(signal: AbortSignal): Promise<void> {
    const { start, environment } = this.note.details;
    await endLeftOver(`${ATTEMPT_VARIABLE}=${environment[ATTEMPT_VARIABLE] ?? ''}`, signal);
    let first: Error | undefined;
    for (const file of start) {
      const failed = await this.#run(file, 'start', signal);
      first ??= failed;
    }
    if (first) throw first;
  }

  whyDown(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async end(signal: AbortSignal): Promise<void> {
    for (const file of this.note.details.stop) await this.#run(file, 'stop', signal);
  }

  async #run(file: string, phase: 'stop' | 'start', signal: AbortSignal): Promise<Error | undefined> {
    try {
      // It may be another one than when it was noted down.
      requireSafe(file);
    } catch (error) {
      return error as Error;
    }
    const { [ATTEMPT_VARIABLE]: attempt, ...others } = this.note.details.environment;
    const env = { ...others, ROKKA_RESTORE_PHASE: phase };
    // What a start has started has its environment, and must not be ended as what is left of a stop when it is started once more.
    if (phase === 'stop') Object.assign(env, { [ATTEMPT_VARIABLE]: attempt });
    return runScript(file, { env, scriptMs: this.#scriptMs, signal });
  }
}
