/**
 * Servers that are found by their processes, stopped by the signal that each takes for its order to end well, and started again as the kernel knows
 * that they were started (process-facts.ts): the same program, arguments, environment, account.
 *
 * What runs in a directory of a volume counts as a server only where it runs as the owner of that directory, as with the writers.
 */
import * as fs from 'node:fs/promises';
import * as path from 'node:path';
import { type Clock, describeError } from '@rokka/kernel';
import { snapshotErrors } from '../errors.ts';
import type { MountedVolume } from '../writer.ts';
import { partsOf } from '../writers/postgresql-cluster.ts';
import { within } from '../writers/obeying.ts';
import { Placement } from '../writers/server-placement.ts';
import { serverProcesses, type ServerProcess } from '../writers/server-processes.ts';
import type { Application, ApplicationKind, ApplicationNote, FoundApplications } from './application.ts';
import { type KeptPipes, keptPipes, launch } from './launch.ts';
import { hasAncestor, isAlive, processFacts, type ProcessFacts, Unlike } from './process-facts.ts';

export interface ServerSpecies {
  /** The writer's name as well: `postgresql`. */
  readonly kind: string;
  /** Of its programs, as in /proc/PID/comm. */
  readonly programs: readonly string[];
  /** For people. */
  readonly title: string;
  /** It ends in good order after it, and lets no client keep it. */
  readonly stopSignal: NodeJS.Signals;
  /** Directories and files that make it one of the volumes'. */
  parts(directory: string): Promise<readonly string[]>;
  /** Where its process does not show how it was started: what else it has to be given. @throws Unlike */
  command?(
    server: ServerProcess,
    facts: ProcessFacts,
    signal: AbortSignal,
  ): Promise<Pick<ServerDetails, 'exe' | 'argv' | 'env' | 'input'>>;
}

/** Of the note. */
export interface ServerDetails extends ProcessFacts {
  /** The server's own, in which it works. */
  readonly directory: string;
  /** For its standard input. */
  readonly input?: string;
}

export const POSTGRESQL: ServerSpecies = {
  kind: 'postgresql',
  programs: ['postgres', 'postmaster'],
  title: 'PostgreSQL',
  // Fast shutdown, as pg_ctl does it: sessions are ended, nothing is left to recover.
  stopSignal: 'SIGINT',
  parts: partsOf,
};

export const MARIADB: ServerSpecies = {
  kind: 'mariadb',
  programs: ['mariadbd', 'mysqld'],
  title: 'MariaDB',
  stopSignal: 'SIGTERM',
  parts: async (directory) => [directory],
};

export interface ServersOptions {
  /** The agent's own directory, on no volume: for what servers say that cannot go where it went. */
  readonly stateDirectory: string;
  readonly clock: Clock;
}

export function servers(species: ServerSpecies, options: ServersOptions): ApplicationKind {
  return {
    name: species.kind,
    async find({ volumes, signal }) {
      const found: { applications: Application[]; immovable: FoundApplications['immovable'][number][] } = {
        applications: [],
        immovable: [],
      };
      const all = await serversOn(species, volumes, signal);
      for (const server of all) {
        try {
          const describe = (until: AbortSignal) => noteOf(species, { server, all }, until);
          const note = await briefly(describe, options.clock, signal);
          found.applications.push(new ServerApplication(species, note, options));
        } catch (error) {
          signal.throwIfAborted();
          if (hasEnded(error)) continue;
          const why = error instanceof Unlike ? error.message : describeError(error);
          found.immovable.push({ pid: server.pid, why });
        }
      }
      return found;
    },
    from: (note) => new ServerApplication(species, note as ServerNote, options),
  };
}

/** With a trial of it, where there is one. */
const DESCRIBE_MS_MAX = 60_000;

/** It may be anybody's program that says that it is one of these, and never answers. @throws Unlike where it is late; the signal's reason */
function briefly<T>(
  describe: (signal: AbortSignal) => Promise<T>,
  clock: Clock,
  signal: AbortSignal,
): Promise<T> {
  const ms = DESCRIBE_MS_MAX;
  const late = () => new Unlike(`how it is set could not be told within ${ms} ms`);
  return within({ clock, ms, late, signal }, describe);
}

const hasEnded = (error: unknown) =>
  ['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException | undefined)?.code ?? '');

/** Those that have something on the volumes. */
export async function serversOn(
  { programs, parts }: Pick<ServerSpecies, 'programs' | 'parts'>,
  volumes: readonly MountedVolume[],
  signal: AbortSignal,
): Promise<ServerProcess[]> {
  const placement = await Placement.of({ volumes, signal });
  const found: ServerProcess[] = [];
  for (const server of await serverProcesses(programs, signal))
    for (const part of await parts(server.directory).catch(() => [server.directory]))
      if (await placement.holds(part)) {
        found.push(server);
        break;
      }
  return found;
}

type ServerNote = ApplicationNote & { readonly details: ServerDetails };

/** As machines have it unless somebody changed it; whoever was given such a port was root then. */
const UNPRIVILEGED_PORT_MIN = 1_024;

/** @throws Unlike; the system's error where it has ended meanwhile */
async function noteOf(
  species: ServerSpecies,
  { server, all }: { server: ServerProcess; all: readonly ServerProcess[] },
  signal: AbortSignal,
): Promise<ServerNote> {
  const facts = await processFacts(server.pid);
  const { directory } = server;
  if (facts.cwd !== directory) throw new Unlike('it is not the one any more that was found there');
  const port = server.ports.find((each) => each < UNPRIVILEGED_PORT_MIN);
  if (port !== undefined) throw new Unlike(`it listens on port ${port}, which only root may open`);
  // Of several it could not be told which of them runs.
  const other = all.find((each) => each !== server && each.directory === directory);
  if (other) throw new Unlike(`another one works in ${directory} as well (pid ${other.pid})`);
  if ((await fs.stat(directory)).uid !== facts.uid)
    throw new Unlike(`it does not run as the owner of ${directory}`);
  const command = await species.command?.(server, facts, signal);
  const { kind, title } = species;
  const name = `${title} at ${directory}`;
  return { kind, id: `${kind}:${directory}`, name, details: { ...facts, ...command, directory } };
}

const LOOK_MS = 100;
/** Of a copy, for its good order. */
const END_MS_MAX = 10_000;
/** One that was told to stop lets nobody in after so long, or has ended. */
const SETTLE_MS = 10_000;
/** A server that goes to the background is not seen for a moment. */
const BACKGROUND_MS = 3_000;

export class ServerApplication implements Application {
  readonly note: ServerNote;
  readonly #species: ServerSpecies;
  readonly #options: ServersOptions;
  #pipes: KeptPipes = [undefined, undefined];
  #launchedAtMs: number | undefined;

  constructor(species: ServerSpecies, note: ServerNote, options: ServersOptions) {
    this.#species = species;
    this.note = note;
    this.#options = options;
  }

  owns(pid: number): Promise<boolean> {
    return hasAncestor(pid, this.note.details.pid);
  }

  async stop(signal: AbortSignal): Promise<void> {
    const { details } = this.note;
    this.#pipes = await keptPipes(details);
    await this.#told(details, signal);
  }

  async start(signal: AbortSignal): Promise<void> {
    const { details, name: what } = this.note;
    try {
      // It may have been told to stop, by whomever, and end any moment: then nobody would start it any more.
      await this.#within(SETTLE_MS, signal, (until) => this.#ended(details, until)).catch(() =>
        signal.throwIfAborted(),
      );
      if ((await this.#running()).length > 0) return;
      const logFile = this.#logFile;
      await fs.mkdir(path.dirname(logFile), { recursive: true, mode: 0o700 });
      await launch(details, { what, logFile, pipes: this.#pipes }, signal);
      this.#launchedAtMs = this.#options.clock.nowMs();
    } finally {
      const pipes = this.#pipes;
      this.#pipes = [undefined, undefined];
      for (const pipe of pipes) await pipe?.close();
    }
  }

  lingers(): Promise<boolean> {
    return isAlive(this.note.details);
  }

  async whyDown(): Promise<string | undefined> {
    const { clock } = this.#options;
    if ((await this.#running()).length > 0) return undefined;
    if (this.#launchedAtMs !== undefined && clock.nowMs() - this.#launchedAtMs < BACKGROUND_MS)
      return undefined;
    return `it has ended again: see its log, or ${this.#logFile}`;
  }

  async end(signal: AbortSignal): Promise<void> {
    const { details } = this.note;
    for (const pid of await this.#running()) {
      const facts = await processFacts(pid).catch(() => undefined);
      // That which did not stop has the volumes that stay.
      if (!facts || (facts.pid === details.pid && facts.startedAt === details.startedAt)) continue;
      await this.#within(END_MS_MAX, signal, (until) => this.#told(facts, until)).catch(() =>
        kill(pid, 'SIGKILL'),
      );
      await this.#ended(facts, signal);
    }
  }

  get #logFile(): string {
    return path.join(this.#options.stateDirectory, `${this.#species.kind}.log`);
  }

  /** Resolves when it has ended. */
  async #told(which: Pick<ProcessFacts, 'pid' | 'startedAt'>, signal: AbortSignal): Promise<void> {
    if (await isAlive(which)) kill(which.pid, this.#species.stopSignal);
    await this.#ended(which, signal);
  }

  async #ended(which: Pick<ProcessFacts, 'pid' | 'startedAt'>, signal: AbortSignal): Promise<void> {
    while (await isAlive(which)) await this.#options.clock.sleep(LOOK_MS, signal);
  }

  #within<T>(ms: number, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = () => new Error(`it has not ended within ${ms} ms`);
    return within({ clock: this.#options.clock, ms, late, signal }, work);
  }

  /** Its program in its directory, as its account: titles and arguments are what a server makes of them. */
  async #running(): Promise<number[]> {
    const { directory, uid } = this.note.details;
    const found: number[] = [];
    // Where no look is possible in time it is asked for again; the wait has its own deadline.
    for (const server of await serverProcesses(this.#species.programs, NEVER)) {
      if (server.directory !== directory) continue;
      const facts = await processFacts(server.pid).catch(() => undefined);
      if (facts?.uid === uid && (await isAlive(facts))) found.push(server.pid);
    }
    return found;
  }
}

const NEVER = new AbortController().signal;

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ESRCH') throw snapshotErrors.SNAPSHOTS_APPLICATION_STAYS([`process ${pid}`, message]);
  }
}
