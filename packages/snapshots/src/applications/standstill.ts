/**
 * The applications on volumes that are replaced, from before they stand still until they run again.
 *
 * Whoever calls `stop` calls `start` afterwards, whatever happened in between, on whichever volumes are in place then. What is to be started is
 * on the disk before anything is stopped, and stays there until all of it runs: so the next process does it where this one is killed, and
 * tries again where something does not start. Nothing is stopped where a program is among them that nobody can start again.
 */
import { type Clock, describeError, isCoded } from '@rokka/kernel';
import { snapshotErrors } from '../errors.ts';
import { oneLine, strayProcesses, type StraysOptions } from '../strays.ts';
import type { MountedVolume, WriterKind } from '../writer.ts';
import { obeying, within } from '../writers/obeying.ts';
import { answeringOn, doesAnswer } from './answering.ts';
import type { Application, ApplicationKind, FindOptions } from './application.ts';
import type { AnsweredServer, Places, Stopped, StoppedNotes } from './stopped-notes.ts';

export interface StandstillOptions {
  /** In the order in which they stop. What one has found the later ones leave alone. */
  readonly kinds: readonly ApplicationKind[];
  /** Those whose servers can be asked whether they serve. */
  readonly writers: readonly WriterKind[];
  readonly notes: StoppedNotes;
  /** Undefined where the volume is not mounted now. */
  mountPointOf(volume: string): string | undefined;
  readonly clock: Clock;
  /** For tests. */
  readonly strays?: (options: StraysOptions) => Promise<readonly { pid: number; words: string }[]>;
}

export interface StopOptions {
  readonly command: string;
  readonly volumes: readonly MountedVolume[];
  /** The volumes that come in the places of those. */
  readonly after: readonly string[];
  say(line: string): void;
  readonly signal: AbortSignal;
}

export interface Movable {
  readonly applications: readonly Application[];
  /** Programs that nobody can stop and start again, in words. Where there is one, nothing is to be stopped. */
  readonly immovable: readonly string[];
}

/** For one application, each time. */
export const STOP_MS_MAX = 60_000;
/** A server may have a long log to redo, or may still be ending. */
export const START_MS_MAX = 300_000;
const END_MS_MAX = 60_000;
const LOOK_MS = 250;
/** Of one that nobody can ask whether it serves: it runs so long, or it has ended again. */
const SETTLED_MS = 5_000;
/** One that takes longer does not count as one that answers. */
const ANSWER_MS_MAX = 10_000;

export class Standstill {
  readonly #options: StandstillOptions;
  /** Those that this process has stopped, or found, by the id of their notes. */
  readonly #known = new Map<string, Application>();
  /** Of those, the ones that were not told to stop. */
  readonly #untouched = new Set<string>();
  /** Those that were told to start. */
  readonly #begun = new Set<string>();

  constructor(options: StandstillOptions) {
    this.#options = options;
  }

  /** Who is there. @throws what a kind throws that found something and cannot take it */
  async look(volumes: readonly MountedVolume[], signal: AbortSignal): Promise<Movable> {
    const { strays = strayProcesses } = this.#options;
    const of = { volumes, signal };
    const writing = await strays({ ...of, components: [] });
    const { applications, fixed } = await this.#find({ ...of, writing: writing.map(({ pid }) => pid) });
    const paths = applications.flatMap((each) => each.paths ?? []);
    const strange = paths.length === 0 ? writing : await strays({ ...of, components: [{ name: '', paths }] });
    const immovable: string[] = [];
    for (const { pid, words } of strange) {
      const why = fixed.get(pid);
      fixed.delete(pid);
      if (why !== undefined) immovable.push(`${words}: ${why}`);
      else if (!(await isOwned(applications, pid))) immovable.push(words);
    }
    for (const [pid, why] of fixed) immovable.push(`a server (pid ${pid}): ${why}`);
    return { applications, immovable: fewOf(immovable.map(oneLine)) };
  }

  /**
   * Resolves when none of them runs. Where it rejects, some may have stopped.
   * @throws SNAPSHOTS_LATE; what an application throws; the signal's reason
   */
  async stop(applications: readonly Application[], of: StopOptions): Promise<void> {
    const { say, signal } = of;
    await this.#note(applications, of);
    for (const each of applications) {
      this.#known.set(each.note.id, each);
      this.#untouched.add(each.note.id);
    }
    for (const each of applications) {
      signal.throwIfAborted();
      this.#untouched.delete(each.note.id);
      const limits = { who: each.note.name, step: 'stop', ms: STOP_MS_MAX, signal };
      await this.#within(limits, (until) => each.stop(until));
      say(`Stopped: ${each.note.name}\n`);
    }
  }

  /** Of which command something is noted down. @throws SNAPSHOTS_STOPPED_GARBAGE */
  get stoppedBy(): string | undefined {
    return this.#options.notes.read()?.command;
  }

  /**
   * Starts all that is noted down, by whichever process; what it started last first.
   * @returns their names, once those that answered before do so again
   * @throws SNAPSHOTS_VOLUMES_MIXED where nothing is started; SNAPSHOTS_APPLICATIONS_DOWN with all that do not run; they stay noted down. The signal's reason
   */
  async start(signal: AbortSignal): Promise<string[]> {
    const { notes } = this.#options;
    const stopped = notes.read();
    if (!stopped) return [];
    this.#demandWhole(stopped);
    const failures = new Map<string, string>();
    const all = this.#all(stopped).reverse();
    // Of a later version, which knew one kind more.
    for (const { id, name, kind } of stopped.applications)
      if (!this.#known.has(id))
        failures.set(name, `nothing here knows how to start what is of the kind "${kind}"`);
    for (const each of all) {
      if (this.#untouched.has(each.note.id)) continue;
      const limits = { who: each.note.name, step: 'start', ms: START_MS_MAX, signal };
      const start = async () => {
        this.#begun.add(each.note.id);
        await this.#within(limits, (until) => each.start(until));
        // Of one that can be asked it is asked whether it serves.
        if (!isAsked(stopped, each) && (await each.lingers?.()))
          throw snapshotErrors.SNAPSHOTS_APPLICATION_LINGERS([]);
      };
      const why = await this.#why(start, signal);
      if (why !== undefined) failures.set(each.note.name, why);
    }
    for (const [name, why] of await this.#silent(stopped, { all, failures, signal })) failures.set(name, why);
    if (failures.size > 0) throw down(failures, notes);
    notes.remove();
    this.#known.clear();
    this.#untouched.clear();
    this.#begun.clear();
    return all.map(({ note }) => note.name);
  }

  /**
   * What was started goes again, for its volumes are thrown away. It stays noted down.
   * @returns their names: they may have told others that something was written @throws the signal's reason
   */
  async end(signal: AbortSignal): Promise<string[]> {
    const stopped = this.#options.notes.read();
    const ended: string[] = [];
    if (!stopped) return ended;
    for (const each of this.#all(stopped)) {
      // One that was not told to start has the old volumes, if it runs.
      if (!this.#begun.delete(each.note.id)) continue;
      const limits = { who: each.note.name, step: 'end', ms: END_MS_MAX, signal };
      // One that stays meets a disk that is pulled; it is started anew whatever becomes of it.
      await this.#why(() => this.#within(limits, (until) => each.end(until)), signal);
      ended.push(each.note.name);
    }
    return ended;
  }

  async #find(options: FindOptions) {
    const { kinds } = this.#options;
    const applications: Application[] = [];
    const fixed = new Map<number, string>();
    for (const kind of kinds) {
      const found = await kind.find(options);
      for (const each of found.applications)
        if (!(await isOneOf(applications, each))) applications.push(each);
      for (const { pid, why } of found.immovable)
        if (!(await isOwned(applications, pid))) fixed.set(pid, why);
    }
    return { applications, fixed };
  }

  /**
   * Data of one moment with a log of another is worse than a server that is down: it may be redone into what was whole. Nor is anything
   * started where nothing is mounted yet, as after a boot. @throws SNAPSHOTS_VOLUMES_MIXED
   */
  #demandWhole({ places, applications }: Stopped): void {
    const mixed = places.find((each) => !this.#isWhole(each));
    if (!mixed) return;
    const names = applications.map(({ name }) => name).join(', ');
    const [before, after] = [mixed.before.join(', '), mixed.after.join(', ')];
    throw snapshotErrors.SNAPSHOTS_VOLUMES_MIXED([names, before, after]);
  }

  #isWhole({ before, after }: Places): boolean {
    const isThere = (all: readonly string[]) =>
      all.length > 0 && all.every((volume) => this.#options.mountPointOf(volume) !== undefined);
    return isThere(before) || isThere(after);
  }

  async #note(
    applications: readonly Application[],
    { command, volumes, after, signal }: StopOptions,
  ): Promise<void> {
    const { notes, writers } = this.#options;
    // What an earlier one could not start is started with these.
    const before = notes.read();
    const ask = (until: AbortSignal) => answeringOn(writers, volumes, until);
    const answered = await this.#briefly(ask, { signal, otherwise: [] });
    const mountPoints = volumes.map(({ mountPoint }) => mountPoint);
    // What was whole by then is, in its turn, what this one replaces; so is what it replaces altogether.
    const isOpen = (each: Places) =>
      !this.#isWhole(each) && !each.mountPoints.every((mountPoint) => mountPoints.includes(mountPoint));
    notes.write({
      command,
      mountPoints: unique([...(before?.mountPoints ?? []), ...mountPoints]),
      places: [
        ...(before?.places ?? []).filter(isOpen),
        { mountPoints, before: volumes.map(({ volume }) => volume), after },
      ],
      applications: [
        ...(before?.applications ?? []).filter(({ id }) => applications.every(({ note }) => note.id !== id)),
        ...applications.map(({ note }) => note),
      ],
      answered: [...(before?.answered ?? []).filter((server) => !isAmong(answered, server)), ...answered],
    });
  }

  /** In the order in which they were stopped. */
  #all({ applications }: Stopped): Application[] {
    const { kinds } = this.#options;
    return applications.flatMap((note) => {
      const known = this.#known.get(note.id) ?? kinds.find(({ name }) => name === note.kind)?.from(note);
      if (known) this.#known.set(note.id, known);
      return known ? [known] : [];
    });
  }

  /** Waits until all answer that did before, as long as nobody is down. @returns the others, with why */
  async #silent(
    stopped: Stopped,
    of: { all: readonly Application[]; failures: ReadonlyMap<string, string>; signal: AbortSignal },
  ): Promise<Map<string, string>> {
    const { clock, writers } = this.#options;
    const { all, failures, signal } = of;
    const { mountPoints, answered } = stopped;
    const volumes = mountPoints.map((mountPoint) => ({ volume: mountPoint, mountPoint }));
    const endsAtMs = clock.nowMs() + START_MS_MAX;
    const settledAtMs = all.every((each) => isAsked(stopped, each)) ? 0 : clock.nowMs() + SETTLED_MS;
    for (;;) {
      const silent = new Map<string, string>();
      for (const each of all) {
        const why = failures.has(each.note.name) ? undefined : await obeying(each.whyDown(), signal);
        if (why !== undefined) silent.set(each.note.name, why);
      }
      // Those that are down need not be waited for.
      if (failures.size + silent.size > 0) return silent;
      for (const server of answered) {
        const ask = (until: AbortSignal) => doesAnswer(writers, { server, volumes }, until);
        const words = await this.#briefly(ask, { signal, otherwise: 'it does not answer' });
        if (words !== undefined) silent.set(nameOf(server), words);
      }
      const isOver = clock.nowMs() >= (silent.size === 0 ? settledAtMs : endsAtMs);
      if (isOver) return silent;
      await clock.sleep(LOOK_MS, signal);
    }
  }

  /** What goes wrong, in words. @throws the signal's reason */
  async #why(work: () => Promise<unknown>, signal: AbortSignal): Promise<string | undefined> {
    try {
      await work();
      return undefined;
    } catch (error) {
      signal.throwIfAborted();
      return describeError(error);
    }
  }

  /** @throws SNAPSHOTS_LATE, also where the work does not heed its signal */
  #within<T>(
    { who, step, ms, signal }: { who: string; step: string; ms: number; signal: AbortSignal },
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const late = () => snapshotErrors.SNAPSHOTS_LATE([who, step, ms]);
    return within({ clock: this.#options.clock, ms, late, signal }, work);
  }

  async #briefly<T>(
    work: (signal: AbortSignal) => Promise<T>,
    { signal, otherwise }: { signal: AbortSignal; otherwise: T },
  ): Promise<T> {
    const limits = { who: 'a writer', step: 'answer', ms: ANSWER_MS_MAX, signal };
    try {
      return await this.#within(limits, work);
    } catch (error) {
      signal.throwIfAborted();
      if (!isCoded(error, 'SNAPSHOTS_LATE')) throw error;
      return otherwise;
    }
  }
}

const isAsked = ({ answered }: Stopped, { note }: Application) =>
  answered.some(({ kind, directory }) => note.id === `${kind}:${directory}`);
/** Anybody may have any number of files open. */
const NAMED_MAX = 20;
const fewOf = (all: readonly string[]) =>
  all.length <= NAMED_MAX ? all : [...all.slice(0, NAMED_MAX), `and ${all.length - NAMED_MAX} more`];
const nameOf = ({ kind, directory }: AnsweredServer) => `${kind} at ${directory}`;
const isAmong = (all: readonly AnsweredServer[], one: AnsweredServer) =>
  all.some((each) => nameOf(each) === nameOf(one));
const unique = (all: readonly string[]) => [...new Set(all)];

function down(failures: ReadonlyMap<string, string>, { where }: StoppedNotes): Error {
  const all = [...failures].map(([name, why]) => oneLine(`${name}: ${why}`));
  return snapshotErrors.SNAPSHOTS_APPLICATIONS_DOWN([all.join('; '), where]);
}

async function isOwned(applications: readonly Application[], pid: number): Promise<boolean> {
  for (const each of applications) if (await each.owns(pid)) return true;
  return false;
}

/** A server of a service is the service's. */
async function isOneOf(applications: readonly Application[], { note }: Application): Promise<boolean> {
  const pid = (note.details as { pid?: unknown } | undefined)?.pid;
  return typeof pid === 'number' && isOwned(applications, pid);
}
