/** The engine's side in the tests of SharedPageStore: runs one of the tasks below and tells the test what it saw. */
import assert from 'node:assert/strict';
import { parentPort, workerData } from 'node:worker_threads';
import { asPageNumber, CodedError, must, PAGE_SIZE, SeededRandom } from '@rokka/kernel';
import { MemoryPageStore } from '../memory-page-store.ts';
import type { PageWrite } from '../page-store.ts';
import type { SharedPageMemory } from '../shared-control.ts';
import { SharedPageStore, VIEWS_KEPT } from '../shared-page-store.ts';

export interface WorkerTask {
  task: keyof typeof tasks;
  memory: SharedPageMemory;
  cachePages: number;
  seed?: number;
  count?: number;
}

const page = (n: number) => asPageNumber(n);
const given = workerData as WorkerTask;
const store = new SharedPageStore(given.memory, { sizeBytes: given.cachePages * PAGE_SIZE });

const tasks = {
  /** Random work beside a twin in memory; answers with the twin's pages. */
  random() {
    const random = new SeededRandom(must(given.seed));
    const twin = new MemoryPageStore({ pagesPerGroup: 64 });
    for (let operation = 0; operation < must(given.count); operation++) {
      if (random.chance(0.05)) store.waitDurable(store.applied);
      const which = page(random.below(64));
      if (random.chance(0.5)) assert.deepEqual(store.page(which), twin.page(which));
      const writes = Array.from({ length: 1 + random.below(3) }, () => randomWrite(random));
      store.apply(writes);
      twin.apply(writes);
    }
    store.waitDurable(store.applied);
    assert.equal(store.durable, store.applied);
    return {
      applied: store.applied,
      pages: Array.from({ length: 64 }, (_, n) => twin.page(page(n)).slice()),
    };
  },

  /** A byte in each of some pages that only the base of a clone has. */
  clone() {
    for (let n = 0; n < must(given.count); n++)
      store.apply([{ page: page(n), offset: 100, bytes: new Uint8Array([n + 1]) }]);
    store.waitDurable(store.applied);
    return { applied: store.applied };
  },

  /** Many small mini-transactions, each changing a few bytes of one page. */
  small() {
    const counter = new Uint8Array(24);
    const words = new Uint32Array(counter.buffer);
    store.apply([{ page: page(1), offset: 0, bytes: counter, init: true }]);
    for (let n = 1; n < must(given.count); n++) {
      words.fill(n);
      store.apply([{ page: page(1), offset: 100, bytes: counter }]);
    }
    return { applied: store.applied };
  },

  /** The same, and once more when it is told to go on. */
  twice() {
    must(parentPort).once('message', () => tell(tasks.small()));
    return tasks.small();
  },

  /** Looks at a page that is not here, then makes `count` small mini-transactions. */
  readFirst() {
    const [first] = store.page(page(7));
    tasks.small();
    return { first };
  },

  /** Whole pages of log, more than the ring holds. */
  bulk() {
    for (let n = 0; n < must(given.count); n++) {
      const bytes = new Uint8Array(PAGE_SIZE).fill((n % 255) + 1);
      store.apply([{ page: page(n), offset: 0, bytes, init: true }]);
    }
    return { applied: store.applied };
  },

  /** Reads `count` pages in order. */
  scan() {
    const firsts: number[] = [];
    for (let n = 0; n < must(given.count); n++) firsts.push(store.page(page(n))[0]);
    return { firsts };
  },

  /** Reads `count` pages from the last to the first. */
  backwards() {
    const firsts: number[] = [];
    for (let n = must(given.count) - 1; n >= 0; n--) firsts.push(store.page(page(n))[0]);
    return { firsts };
  },

  /** Looks at as many pages at once as may be, while `count` pages that are not durable fill most of the cache. */
  views() {
    const bytes = new Uint8Array([1]);
    for (let n = 0; n < must(given.count); n++)
      store.apply([{ page: page(200 + n), offset: 0, bytes, init: true }]);
    const views = Array.from({ length: VIEWS_KEPT }, (_, n) => store.page(page(n * 7)));
    return { firsts: views.map((view) => view[0]) };
  },

  /** Collects the codes that calls end with once the host has ended. */
  ending() {
    tell('started');
    const codes = [
      codeOf(() => {
        store.apply([{ page: page(0), offset: 0, bytes: new Uint8Array([1]), init: true }]);
        store.waitDurable(store.applied);
      }),
      codeOf(() => store.page(page(0))),
      codeOf(() => store.apply([])),
    ];
    return { codes, failure: store.failure?.code, message: store.failure?.message };
  },

  /** One page that cannot be read, then one that can. */
  unreadable() {
    return { codes: [codeOf(() => store.page(page(7))), codeOf(() => store.page(page(8)))] };
  },

  park() {
    tell('started');
    return store.park();
  },
};

tell(tasks[given.task]());

function tell(message: unknown): void {
  must(parentPort).postMessage(message, []);
}

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof CodedError, String(error));
    return error.code;
  }
}

function randomWrite(random: SeededRandom): PageWrite {
  const offset = random.pick([0, 8, 8191, random.below(PAGE_SIZE)]);
  const length = random.pick([1, 7, 300, PAGE_SIZE]);
  const bytes = new Uint8Array(Math.min(length, PAGE_SIZE - offset)).fill(random.below(4));
  return { page: page(random.below(64)), offset, bytes, init: random.chance(0.3) };
}
