/**
 * The writer of applications that nobody knows but their administrator: executables `pre-*` in a directory hold what they know, and
 * `post-*` let it go, each kind in the order of the names. A `pre` that fails or is late is a veto.
 *
 * The `post` scripts always run once the first `pre` was to be run: also where it failed, was killed for being late, or never began.
 * They cannot tell what it has done, so they must be able to undo what was not done. All run, also where one of them fails. They run
 * once an attempt; only where this process ends before they have all ended, the next one runs them (again), after it has ended
 * what is left of the attempt's scripts: in `prepare`, or in `recoverScripts` when the machine starts.
 *
 * Level `application`, on the word of the scripts. What files they speak for their administrator says in a file `speaks-for` beside them, one
 * path a line; where there is none they speak for none, and programs that write elsewhere are told as what nobody speaks for.
 */
import { randomUUID } from 'node:crypto';
import { snapshotErrors } from '../errors.ts';
import type { Component, DiscoverOptions, Frozen, MountedVolume, Writer, WriterKind } from '../writer.ts';
import { obeying } from './obeying.ts';
import { ScriptJournal, type Attempt } from './script-journal.ts';
import { endLeftOver, requireSafe, runScript, scriptsNamed, spokenFor } from './script-runs.ts';

export interface ScriptOptions {
  /** Where the scripts are. */
  readonly directory: string;
  /** Where it stands what has to be undone; not on a volume that is in a snapshot. */
  readonly stateDirectory: string;
  /** For each script. */
  readonly scriptMs?: number;
}

/** As Data Lifecycle Manager has it (ExecutionTimeout). */
const SCRIPT_MS = 10_000;
const ATTEMPT_VARIABLE = 'ROKKA_SNAPSHOT_ATTEMPT';

export function script(options: ScriptOptions): WriterKind {
  return {
    name: 'script',
    discover({ volumes }: DiscoverOptions): Promise<readonly Writer[]> {
      const scripts = findScripts(options.directory);
      const none = scripts.pre.length + scripts.post.length === 0;
      return Promise.resolve(none ? [] : [new ScriptWriter({ ...options, volumes, scripts })]);
    },
  };
}

/**
 * Undoes what a process had begun that was killed. Call it before anything else is done with the writers.
 * @returns whether there was something to undo
 * @throws SNAPSHOTS_SCRIPT_FAILED: a post script, when all have run; SNAPSHOTS_JOURNAL_GARBAGE; the signal's reason
 */
export async function recoverScripts(options: ScriptOptions, signal: AbortSignal): Promise<boolean> {
  const journal = new ScriptJournal(options.stateDirectory);
  const attempt = journal.read();
  if (!attempt) return false;
  await endLeftOver(`${ATTEMPT_VARIABLE}=${attempt.id}`, signal);
  const { scriptMs = SCRIPT_MS } = options;
  await obeying(endAttempt(attempt, { outcome: 'recover', scriptMs, journal }), signal);
  return true;
}

interface Scripts {
  readonly pre: readonly string[];
  readonly post: readonly string[];
}

function findScripts(directory: string): Scripts {
  return { pre: scriptsNamed(directory, 'pre-'), post: scriptsNamed(directory, 'post-') };
}

class ScriptWriter implements Writer {
  readonly id = 'script';
  readonly #options: ScriptOptions;
  readonly #volumes: readonly MountedVolume[];
  readonly #scripts: Scripts;
  readonly #journal: ScriptJournal;
  readonly #scriptMs: number;
  /** Whose post scripts have to run. */
  #begun: Attempt | undefined;
  /** The post scripts of the last attempt. */
  #running: Promise<void> = Promise.resolve();

  constructor(
    options: ScriptOptions & { readonly volumes: readonly MountedVolume[]; readonly scripts: Scripts },
  ) {
    this.#options = options;
    this.#volumes = options.volumes;
    this.#scripts = options.scripts;
    this.#journal = new ScriptJournal(options.stateDirectory);
    this.#scriptMs = options.scriptMs ?? SCRIPT_MS;
  }

  identify(): Promise<readonly Component[]> {
    const { directory } = this.#options;
    return Promise.resolve([{ name: `what the scripts in ${directory} hold`, paths: spokenFor(directory) }]);
  }

  async prepare(signal: AbortSignal): Promise<void> {
    for (const file of [...this.#scripts.pre, ...this.#scripts.post]) requireSafe(file);
    await recoverScripts(this.#options, signal);
  }

  async freeze(signal: AbortSignal): Promise<Frozen> {
    const attempt = {
      id: randomUUID(),
      post: this.#scripts.post,
      environment: {
        ROKKA_SNAPSHOT_VOLUMES: this.#volumes.map(({ volume }) => volume).join(' '),
        ROKKA_SNAPSHOT_MOUNT_POINTS: this.#volumes.map(({ mountPoint }) => mountPoint).join(':'),
      },
    };
    this.#journal.write(attempt);
    this.#begun = attempt;
    for (const file of this.#scripts.pre) {
      const failed = await run(file, { attempt, phase: 'pre', scriptMs: this.#scriptMs, signal });
      if (failed) throw snapshotErrors.SNAPSHOTS_VETO([this.id, failed.message], { cause: failed });
    }
    return { level: 'application' };
  }

  async thaw(signal: AbortSignal): Promise<void> {
    await obeying(this.#post('thaw'), signal);
  }

  async abort(signal: AbortSignal): Promise<void> {
    await obeying(this.#post('abort'), signal);
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What a step did not wait for to its end. Whether it failed was that step's to say.
    await Promise.allSettled([this.#post('abort')]);
  }

  /** Begins them, once an attempt; or the run that has begun. */
  #post(outcome: string): Promise<void> {
    const attempt = this.#begun;
    this.#begun = undefined;
    if (attempt)
      this.#running = endAttempt(attempt, { outcome, scriptMs: this.#scriptMs, journal: this.#journal });
    return this.#running;
  }
}

/** They have run then, whatever they say: one that failed is for people to look at. */
async function endAttempt(
  attempt: Attempt,
  options: { outcome: string; scriptMs: number; journal: ScriptJournal },
): Promise<void> {
  try {
    await runPost(attempt, options);
  } finally {
    options.journal.remove();
  }
}

/** By no signal of whoever waits: each has its own deadline, and none is left out. @throws the first failure, when all have run */
async function runPost(attempt: Attempt, options: { outcome: string; scriptMs: number }): Promise<void> {
  let first: Error | undefined;
  for (const file of attempt.post) {
    const failed = await run(file, { attempt, phase: 'post', ...options });
    first ??= failed;
  }
  if (first) throw first;
}

async function run(
  file: string,
  options: {
    attempt: Attempt;
    phase: 'pre' | 'post';
    outcome?: string;
    scriptMs: number;
    signal?: AbortSignal;
  },
): Promise<Error | undefined> {
  const { attempt, phase, outcome, scriptMs, signal } = options;
  const env = {
    ...attempt.environment,
    [ATTEMPT_VARIABLE]: attempt.id,
    ROKKA_SNAPSHOT_PHASE: phase,
    ...(outcome !== undefined && { ROKKA_SNAPSHOT_OUTCOME: outcome }),
  };
  return runScript(file, { env, scriptMs, ...(signal && { signal }) });
}
