/**
 * The writer of SQLite databases: all that are written to on the volumes, by whichever programs, are held together.
 *
 * Each is held by a transaction that has begun to write and writes nothing (BEGIN IMMEDIATE), so readers go on, and a program that
 * wants to write waits, as long as its own busy time-out says. With a rollback journal that is all: whoever has this lock is alone,
 * so there is no hot journal. With a write-ahead log, its frames are brought into the database before, and the lock is taken again
 * and again until the log is empty under it. Level `application`: a copy has neither a journal to roll back nor a log to read.
 * Where readers that do not end keep the log from being emptied for half of the time, it is held none the less, between two
 * transactions, and the level is `crash`: the copy reads its log.
 *
 * `position` is the change counter of each file.
 */
import * as path from 'node:path';
import { assert } from '@rokka/kernel';
import { snapshotErrors } from '../errors.ts';
import type { Component, DiscoverOptions, Frozen, Writer, WriterKind } from '../writer.ts';
import { searchDirectories } from './directory-search.ts';
import { HelperProcess, Refused } from './helper-process.ts';
import { placeVolumes } from './placement.ts';
import { findCandidates } from './sqlite-files.ts';
import type { Candidate, RestoredSqlite, HeldDatabase } from './sqlite-helper.ts';

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
      return [new SqliteWriter({ paths: paths.sort(), unreached, holdMs })];
    },
  };
}

/** @internal for tests: `helperPid` is whom to kill */
export class SqliteWriter implements Writer {
  readonly id = 'sqlite';
  readonly #paths: readonly string[];
  readonly #unreached: readonly string[];
  readonly #holdMs: number;
  #helper: HelperProcess | undefined;

  constructor(options: {
    readonly paths: readonly string[];
    readonly unreached: readonly string[];
    readonly holdMs: number;
  }) {
    this.#paths = options.paths;
    this.#unreached = options.unreached;
    this.#holdMs = options.holdMs;
  }

  get helperPid(): number | undefined {
    return this.#helper?.pid;
  }

  async identify(): Promise<readonly Component[]> {
    if (this.#unreached.length > 0)
      throw snapshotErrors.SNAPSHOTS_UNREACHABLE([
        `a SQLite database (${this.#unreached.join(', ')})`,
        'a process has it open by a path that is not found here: mount the volume where it can be seen, or stop the process',
      ]);
    return this.#paths.map((file) => ({ name: `SQLite database ${file}`, paths: [file] }));
  }

  async prepare(signal: AbortSignal): Promise<void> {
    const helper = await this.#open(signal);
    await this.#orVeto(helper.ask('checkpoint', {}, signal));
  }

  async freeze(signal: AbortSignal): Promise<Frozen> {
    const helper = await this.#open(signal);
    const held = await this.#orVeto(
      helper.ask<readonly HeldDatabase[]>('freeze', { ms: this.#holdMs }, signal),
    );
    const position = held.map(({ path, changes }) => `${path}@${changes}`).join(' ');
    return { position, level: held.every(({ logBytes }) => logBytes === 0) ? 'application' : 'crash' };
  }

  async thaw(signal: AbortSignal): Promise<void> {
    assert(this.#helper, 'freeze comes first');
    try {
      await this.#helper.ask('thaw', {}, signal);
    } catch (cause) {
      if (!(cause instanceof Refused)) throw cause;
      throw snapshotErrors.SNAPSHOTS_NOT_HELD([WHAT, cause.message], { cause });
    }
  }

  async abort(): Promise<void> {
    await this.#helper?.kill();
    this.#helper = undefined;
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#helper?.[Symbol.asyncDispose]();
    this.#helper = undefined;
  }

  async #open(signal: AbortSignal): Promise<HelperProcess> {
    if (this.#helper) return this.#helper;
    this.#helper = startHelper();
    try {
      await this.#orVeto(this.#helper.ask('open', { paths: this.#paths }, signal));
      return this.#helper;
    } catch (error) {
      await this.abort();
      throw error;
    }
  }

  async #orVeto<T>(step: Promise<T>): Promise<T> {
    try {
      return await step;
    } catch (cause) {
      if (!(cause instanceof Refused)) throw cause;
      throw snapshotErrors.SNAPSHOTS_VETO([WHAT, cause.message], { cause });
    }
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
  await using helper = startHelper();
  const examined: RestoredSqlite[] = [];
  const mounted = options.mountPoints.map((mountPoint) => ({ mountPoint }));
  for (const volume of await placeVolumes(mounted, signal))
    for await (const directory of searchDirectories(volume, { signal })) {
      const candidates = directory.files.map((name) => ({
        path: path.join(directory.path, name),
        hasSibling: false,
      }));
      for (const file of await recognise(helper, { candidates, signal }))
        examined.push(await helper.ask<RestoredSqlite>('examine', { path: file }, signal));
    }
  return examined;
}

function startHelper(): HelperProcess {
  return HelperProcess.start({ file: path.join(import.meta.dirname, 'sqlite-helper.ts'), what: WHAT });
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
