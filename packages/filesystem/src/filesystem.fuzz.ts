/**
 * Differential and crash tests with random operations: the same steps on a FileSystem and on another actor must answer
 * alike and leave alike trees; and after every mini-transaction there must be a sound filesystem that equals the model as
 * it was then. A failure prints the seed and the steps that led to it.
 */
import assert from 'node:assert/strict';
import { SeededRandom, VirtualClock } from '@rokka/kernel';
import { MemoryPageStore } from '@rokka/volume';
import { checkFilesystem } from './checker.ts';
import { FileSystem } from './filesystem.ts';
import { FickleStore, FileSystemActor, run } from './fuzz/filesystem-actor.ts';
import { StepMaker, type Actor, type Step } from './fuzz/step.ts';

export interface FuzzOptions {
  readonly seed: number;
  readonly steps: number;
  /** Makes the other side. */
  readonly twin: () => Actor;
  /** Only steps that a real directory can carry out. */
  readonly portable?: boolean;
  /** Probability that the store refuses to apply, and that it loses pages before a step. */
  readonly refusals?: number;
  readonly pagesPerGroup?: number;
}

export interface FuzzResult {
  readonly store: MemoryPageStore;
  readonly stepsDone: number;
  /** What was there after so many mini-transactions. */
  readonly marks: readonly { applied: number; dump: string[] }[];
}

const GROUP_PAGES = 64;
/** Steps between two comparisons of everything. */
const COMPARE_EVERY = 25;

export function fuzzDifferential(options: FuzzOptions): FuzzResult {
  const { seed, steps, portable = false, refusals = 0, pagesPerGroup = GROUP_PAGES } = options;
  const random = new SeededRandom(seed);
  const store = new FickleStore(new SeededRandom(seed ^ 0x5a5a5a5a), { pagesPerGroup });
  FileSystem.format(store, { clock: new VirtualClock(), random });
  store.refusals = refusals;
  const actor = new FileSystemActor(store);
  const twin = options.twin();
  const marks: { applied: number; dump: string[] }[] = [];
  const done: Step[] = [];
  const maker = new StepMaker(random, { portable });
  try {
    for (let i = 0; i < steps; i++) {
      const step = maker.next();
      done.push(step);
      store.shake();
      const before = store.history.length;
      const answer = actor.perform(step);
      assert.equal(answer, twin.perform(step), 'the answers differ');
      if (answer === 'ok') maker.succeeded(step);
      assert.ok(store.history.length - before <= 1, 'more than one mini-transaction');
      if (/^E[A-Z]+$/.test(answer)) assert.equal(store.history.length, before, 'a refusal changed something');
      if (i % COMPARE_EVERY > 0 && i < steps - 1) continue;
      const dump = twin.dump();
      assert.deepEqual(actor.dump(), dump, 'the trees differ');
      marks.push({ applied: store.history.length, dump });
      assertSound(store, actor.fs);
    }
  } catch (error) {
    throw new Error(`seed ${seed}, after ${done.length} steps:\n${showSteps(done)}`, { cause: error });
  }
  return { store, stepsDone: done.length, marks };
}

/** Mounts what a crash after each mark would leave. */
export function fuzzCrashes({ store, marks }: FuzzResult): void {
  for (const { applied, dump } of marks) {
    const left = MemoryPageStore.replay(store.history, applied, { pagesPerGroup: GROUP_PAGES });
    assert.deepEqual(run(left, () => checkFilesystem(left)).problems, []);
    const actor = new FileSystemActor(left);
    assert.deepEqual(actor.dump(), dump, `the tree differs after ${applied} mini-transactions`);
    assertSound(left, actor.fs);
  }
}

/** Checks what a crash at every point would leave. */
export function checkEveryPrefix(history: MemoryPageStore['history']): number {
  const left = MemoryPageStore.replay(history, 1);
  let checked = 0;
  for (const writes of history.slice(1)) {
    left.apply(writes);
    const { problems } = checkFilesystem(left);
    assert.deepEqual(problems, [], `after ${checked + 2} mini-transactions`);
    checked += 1;
  }
  return checked;
}

/** The volume is sound, and the free pages in memory are those that it has. */
function assertSound(store: MemoryPageStore, fs: FileSystem): void {
  const report = run(store, () => checkFilesystem(store));
  assert.deepEqual(report.problems, []);
  const { blocksTotal, blocksFree } = fs.statistics();
  assert.equal(blocksTotal - blocksFree, report.pagesUsed, 'pages in use');
}

function showSteps(steps: readonly Step[]): string {
  return steps.map((step) => JSON.stringify(step)).join('\n');
}
