/**
 * Runs the workload once on an engine, over pages in memory that remember every mini-transaction; then cuts that log at
 * many points and recovers from each prefix, as after a crash at that point. Some recoveries are cut off themselves.
 *
 * What is acknowledged at a cut: whatever was answered when the log was no longer than that.
 */
import assert from 'node:assert/strict';
import { must, SeededRandom, systemClock, systemRandom } from '@rokka/kernel';
import { checkFilesystem, FileSystem } from '@rokka/filesystem';
import { MemoryPageStore, type PageWrite } from '@rokka/volume';
import type { CutEngine } from './cut-engine.ts';
import { judge } from './cut-verdict.ts';
import { prepare, Writer } from './cut-workload.ts';

/** Of each writer: how long the log was when its transactions were acknowledged, in their order. */
type Acknowledgements = readonly (readonly number[])[];

export interface Recording {
  readonly history: readonly (readonly PageWrite[])[];
  /** Cuts lie in (from, history.length]. */
  readonly from: number;
  readonly acknowledgements: Acknowledgements;
}

export interface Cut {
  readonly position: number;
  /** How often the recovery itself is cut off before one may end. */
  readonly crashes: number;
}

/** The pages at any point of the log. Cheap where the points are asked for in their order. */
export class Prefixes {
  readonly #history: Recording['history'];
  #store = new MemoryPageStore();
  #position = 0;

  constructor({ history }: Recording) {
    this.#history = history;
  }

  at(position: number): MemoryPageStore {
    if (position < this.#position) {
      this.#store = new MemoryPageStore();
      this.#position = 0;
    }
    this.#store.follow(this.#history.slice(this.#position, position));
    // Nobody asks for it, and it is as large as the log.
    this.#store.history.length = 0;
    this.#position = position;
    return this.#store.branch();
  }
}

export async function record(
  engine: CutEngine,
  options: { seed: number; transactions: number },
): Promise<Recording> {
  const store = new MemoryPageStore();
  FileSystem.format(store, { clock: systemClock, random: systemRandom });
  const database = await engine.open(store);
  await prepare(must(database.sessions[0]));
  const from = store.history.length;
  const acknowledgements = database.sessions.map((): number[] => []);
  const writers = database.sessions.map((session, writer) => {
    const random = new SeededRandom(options.seed * 16 + writer);
    const acknowledged = () => void must(acknowledgements[writer]).push(store.history.length);
    return new Writer(session, { writer, random, acknowledged });
  });
  await Promise.all(writers.map((writer) => writer.run(options.transactions)));
  const history = [...store.history];
  await database.end();
  return { history, from, acknowledgements };
}

/** Half of them anywhere, half where they hurt: at the very mini-transaction that made an acknowledgement true. In order. */
export function chooseCuts(recording: Recording, options: { seed: number; count: number }): Cut[] {
  const random = new SeededRandom(options.seed);
  const { from, history, acknowledgements } = recording;
  const edges = acknowledgements.flat();
  const cuts = Array.from({ length: options.count }, (_, index) => ({
    position: index % 2 === 0 ? from + 1 + random.below(history.length - from) : random.pick(edges),
    crashes: random.chance(0.2) ? 1 + random.below(2) : 0,
  }));
  return cuts.sort((a, b) => a.position - b.position);
}

/**
 * Recovers from a prefix of the log. Rejects where the database is not what it has to be.
 *
 * @param cut spoil: SQL that damages the recovered database, to see whether that is noticed
 */
export async function tryCut(
  engine: CutEngine,
  recording: Pick<Recording, 'acknowledgements'>,
  prefixes: Prefixes,
  cut: Cut & { seed: number; spoil?: string },
): Promise<void> {
  const acknowledged = recording.acknowledgements.map(
    (positions) => positions.filter((position) => position <= cut.position).length,
  );
  const random = new SeededRandom(cut.seed + cut.position);
  let store = prefixes.at(cut.position);
  for (let crash = 0; crash < cut.crashes; crash++) {
    assertSound(store, 'before a recovery that is cut off');
    const left = store.branch();
    const { length } = store.history;
    const database = await engine.open(store);
    const written = store.history.slice(length);
    left.follow(written.slice(0, random.below(written.length + 1)));
    await database.end();
    store = left;
  }
  assertSound(store, 'before the recovery');
  const database = await engine.open(store);
  try {
    const session = must(database.sessions[0]);
    if (cut.spoil !== undefined) await session.run(cut.spoil);
    await judge(session, acknowledged);
    assertSound(store, 'after the recovery');
  } finally {
    await database.end();
  }
}

function assertSound(store: MemoryPageStore, when: string): void {
  const { problems, files } = checkFilesystem(store);
  assert.deepEqual(problems, [], `the filesystem ${when}`);
  assert.ok(files > 100, `the filesystem ${when} has its files`);
}
