/**
 * The writer of SQLite databases: all that are written to on the volumes, by whichever programs, are held together.
 *
 * Each is held by a transaction that has begun to write and writes nothing (BEGIN IMMEDIATE), so readers go on, and a program that
 * wants to write waits, as long as its own busy time-out says. With a rollback journal that is all: whoever has this lock is alone,
 * so there is no hot journal. With a write-ahead log, its frames are brought into the database before, and the lock is taken again
 * and again until the log is empty under it. Level `application`: a copy has neither a journal to roll back nor a log to read.
 * The log is there as a file of no bytes, and whoever opens the copy finds no frame in it: nothing that was committed is anywhere but in the database.
 * Where readers that do not end, or a program that is quicker than we are each time, keep the log from being emptied for half of the time, it is held none the less, between two
 * transactions, and the level is `crash`: the copy reads its log. With the locking mode EXCLUSIVE nobody else gets the lock: a veto.
 *
 * It speaks for the side files of what it holds, too: programs, and its own helpers, have them open for writing as long as the database. Those of
 * a database that it does not hold are strange to it.
 *
 * `position` is the change counter of each file.
 *
 * Each is opened by a process that runs as its owner (sqlite-owners.ts).
 */
import * as path from 'node:path';
import { assert } from '@rokka/kernel';
import { snapshotErrors } from '../errors.ts';
import type { Component, DiscoverOptions, Frozen, Writer, WriterKind } from '../writer.ts';
import { searchDirectories } from './directory-search.ts';
import { HelperProcess, Refused } from './helper-process.ts';
import { placeVolumes } from './placement.ts';
import { filesOf, findCandidates } from './sqlite-files.ts';
import type { Candidate, RestoredSqlite, HeldDatabase } from './sqlite-helper.ts';
import { byOwner, type Owned, type Owner, type Refusal } from './sqlite-owners.ts';

export interface SqliteOptions {
  /** For so long the locks are waited for, in all. */
  readonly holdMs?: number;
}

const HOLD_MS = 10_000;
const WHAT = 'SQLite databases';
/** So many files one question asks about. */
const BATCH = 1_000;

export function sqlite({ holdMs = HOLD_MS }: SqliteOptions = {}): WriterKind {
  return {
    name: 'sqlite',
    async discover({ volumes, signal }: DiscoverOptions): Promise<readonly Writer[]> {
      const { found, hidden } = await findCandidates(volumes, signal);
      await using helper = startHelper();
      const paths = await recognise(helper, { candidates: found, signal });
      const doors = hidden.map(({ door }) => ({ path: door, hasSibling: false }));
      const unreached = await recognise(helper, { candidates: doors, signal });
      if (paths.length + unreached.length === 0) return [];
      const { owned, refused } = await byOwner(paths.sort(), signal);
      return [new SqliteWriter({ owned, refused, unreached, holdMs })];
    },
  };
}

/** @internal for tests: `helperPids` are whom to kill */
export class SqliteWriter implements Writer {
  readonly id = 'sqlite';
  readonly #owned: readonly Owned[];
  readonly #refused: readonly Refusal[];
  readonly #unreached: readonly string[];
  readonly #holdMs: number;
  /** One an owner. */
  #helpers: readonly HelperProcess[] | undefined;

  constructor(options: {
    readonly owned: readonly Owned[];
    readonly refused: readonly Refusal[];
    readonly unreached: readonly string[];
    readonly holdMs: number;
  }) {
    this.#owned = options.owned;
    this.#refused = options.refused;
    this.#unreached = options.unreached;
    this.#holdMs = options.holdMs;
  }

  get helperPids(): readonly (number | undefined)[] {
    return (this.#helpers ?? []).map(({ pid }) => pid);
  }

  async identify(): Promise<readonly Component[]> {
    if (this.#unreached.length > 0)
      throw snapshotErrors.SNAPSHOTS_UNREACHABLE([
        `a SQLite database (${this.#unreached.join(', ')})`,
        'a process has it open by a path that is not found here: mount the volume where it can be seen, or stop the process',
      ]);
    if (this.#refused.length > 0)
      throw snapshotErrors.SNAPSHOTS_UNREACHABLE([
        'a SQLite database',
        this.#refused.map(({ path, why }) => `${path}: ${why}`).join('; '),
      ]);
    const paths = this.#owned.flatMap((owned) => owned.paths).sort();
    return paths.map((file) => ({ name: `SQLite database ${file}`, paths: filesOf(file) }));
  }

  async prepare(signal: AbortSignal): Promise<void> {
    await this.#askAll('checkpoint', {}, signal);
  }

  async freeze(signal: AbortSignal): Promise<Frozen> {
    const answers = await this.#askAll<readonly HeldDatabase[]>('freeze', { ms: this.#holdMs }, signal);
    const held = answers.flat();
    const position = held.map(({ path, changes }) => `${path}@${changes}`).join(' ');
    const logged = held.filter(({ logBytes }) => logBytes > 0);
    return logged.length === 0
      ? { position, level: 'application' }
      : { position, level: 'crash', why: logged.map(whyLogged).join('; ') };
  }

  async thaw(signal: AbortSignal): Promise<void> {
    assert(this.#helpers, 'freeze comes first');
    const thawed = await Promise.allSettled(this.#helpers.map((helper) => helper.ask('thaw', {}, signal)));
    const failed = thawed.find((outcome) => outcome.status === 'rejected');
    if (!failed) return;
    const cause: unknown = failed.reason;
    if (!(cause instanceof Refused)) throw cause;
    throw snapshotErrors.SNAPSHOTS_NOT_HELD([WHAT, cause.message], { cause });
  }

  async abort(): Promise<void> {
    const helpers = this.#helpers ?? [];
    this.#helpers = undefined;
    await Promise.all(helpers.map((helper) => helper.kill()));
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const helpers = this.#helpers ?? [];
    this.#helpers = undefined;
    await Promise.all(helpers.map((helper) => helper[Symbol.asyncDispose]()));
  }

  /** Where one says no, nothing is held by the others. @throws SNAPSHOTS_VETO */
  async #askAll<T>(command: string, details: object, signal: AbortSignal): Promise<T[]> {
    try {
      const helpers = await this.#open(signal);
      return await Promise.all(helpers.map((helper) => helper.ask<T>(command, details, signal)));
    } catch (cause) {
      await this.abort();
      if (!(cause instanceof Refused)) throw cause;
      throw snapshotErrors.SNAPSHOTS_VETO([WHAT, cause.message], { cause });
    }
  }

  async #open(signal: AbortSignal): Promise<readonly HelperProcess[]> {
    if (this.#helpers) return this.#helpers;
    const helpers = (this.#helpers = this.#owned.map(({ owner }) => startHelper(owner)));
    const open = ({ paths }: Owned, at: number) => helpers[at].ask('open', { paths }, signal);
    await Promise.all(this.#owned.map(open));
    return helpers;
  }
}

/**
 * All databases on restored volumes, as far as the search reaches: whether they are whole, and what they had to recover when they
 * were opened for that. @throws the signal's reason
 */
export async function tryRestoredSqlite(options: {
  readonly mountPoints: readonly string[];
  readonly signal: AbortSignal;
}): Promise<readonly RestoredSqlite[]> {
  const { signal } = options;
  const found: string[] = [];
  {
    await using helper = startHelper();
    const mounted = options.mountPoints.map((mountPoint) => ({ mountPoint }));
    for (const volume of await placeVolumes(mounted, signal))
      for await (const directory of searchDirectories(volume, { signal })) {
        const candidates = directory.files.map((name) => ({
          path: path.join(directory.path, name),
          hasSibling: false,
        }));
        found.push(...(await recognise(helper, { candidates, signal })));
      }
  }
  const { owned, refused } = await byOwner(found, signal);
  const examined: RestoredSqlite[] = refused.map(({ path: file, why }) => ({
    path: file,
    logBytes: 0,
    hotJournal: false,
    integrity: why,
    isRefused: true,
  }));
  for (const { owner, paths } of owned) {
    await using helper = startHelper(owner);
    for (const file of paths)
      examined.push(await helper.ask<RestoredSqlite>('examine', { path: file }, signal));
  }
  return examined;
}

function whyLogged({ path: file, logBytes }: HeldDatabase): string {
  return `${file}: readers that do not end, or a program that writes without a pause, keep ${logBytes} bytes in its log; end what reads it, or try again`;
}

/** Without an account it is to read only. */
function startHelper(account?: Owner): HelperProcess {
  const file = path.join(import.meta.dirname, 'sqlite-helper.ts');
  return HelperProcess.start({ file, what: WHAT, ...(account && { account }) });
}

async function recognise(
  helper: HelperProcess,
  { candidates, signal }: { candidates: readonly Candidate[]; signal: AbortSignal },
): Promise<string[]> {
  const recognised: string[] = [];
  for (let from = 0; from < candidates.length; from += BATCH) {
    const batch = candidates.slice(from, from + BATCH);
    const are = await helper.ask<readonly boolean[]>('recognise', { candidates: batch }, signal);
    recognised.push(...batch.filter((_, at) => are[at]).map(({ path }) => path));
  }
  return recognised;
}
