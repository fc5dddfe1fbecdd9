import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock, PageNumber } from '@rokka/kernel';
import type { Read } from './messages.ts';
import { ReadsServer } from './reads-server.ts';
import type { Segment } from './segment.ts';
import { DEFAULT_TUNING } from './store-tuning.ts';
import type { SegmentStore } from './store.ts';

/** A store on a disk that takes a while for each page, whoever asks for it, and does as many at once as it is asked for. */
class SlowStore {
  readonly #pageMs: number;
  /** Of pages that were fetched, when they are in memory. */
  readonly #thereMs = new Map<number, number>();
  #fetches: { atMs: number; done: () => void }[] = [];
  readonly served: { page: number; atMs: number }[] = [];
  readonly refused: unknown[] = [];
  readonly server: ReadsServer;
  #nowMs = 0;
  #soon: (() => void)[] = [];
  fetched = 0;
  gone = false;
  hasPages = true;

  constructor(pageMs: number) {
    this.#pageMs = pageMs;
    const fetch = ([page]: readonly number[], _most: number, done: () => void) => {
      this.fetched++;
      if (!this.hasPages) return 0;
      const atMs = this.#nowMs + pageMs;
      this.#thereMs.set(page, atMs);
      this.#fetches.push({ atMs, done });
      return 1;
    };
    const segment = { firstPage: 0, pageFile: { fetch } } as unknown as Segment;
    const store = {
      read: ({ pages: [page] }: Read) => this.#read(page),
      segments: { find: () => segment },
      tuning: DEFAULT_TUNING,
    } as unknown as SegmentStore;
    const clock = { nowMs: () => this.#nowMs, soon: (run: () => void) => this.#soon.push(run) };
    this.server = new ReadsServer(store, clock as unknown as Clock);
  }

  ask(page: number): void {
    this.server.serve({ pages: [page as PageNumber] } as unknown as Read, {
      isGone: () => this.gone,
      answer: (_, onLeft) => {
        this.served.push({ page, atMs: this.#nowMs });
        onLeft();
      },
      refuse: (error) => this.refused.push(error),
    });
  }

  /** A turn of the event loop: what has come is told, and what was to be done soon is done. */
  turn(): void {
    const over = this.#fetches.filter(({ atMs }) => atMs <= this.#nowMs);
    this.#fetches = this.#fetches.filter(({ atMs }) => atMs > this.#nowMs);
    for (const { done } of over) done();
    for (const run of this.#soon.splice(0)) run();
  }

  #read(page: number) {
    this.#nowMs = Math.max(this.#nowMs, this.#thereMs.get(page) ?? this.#nowMs + this.#pageMs);
    return [];
  }
}

test('what the system has in its memory is served as it comes, and nothing is fetched', () => {
  const store = new SlowStore(0.01);
  for (let page = 0; page < 20; page++) store.ask(page);
  assert.deepEqual(
    store.served.map(({ page }) => page),
    Array.from({ length: 20 }, (_, page) => page),
  );
  assert.equal(store.fetched, 0);
});

test('while the disk is slow, those that wait are fetched meanwhile, and all are served in order', () => {
  const store = new SlowStore(4);
  store.ask(0);
  const asked = 64;
  for (let page = 1; page <= asked; page++) store.ask(page);
  for (let turns = 0; store.served.length <= asked && turns < 1000; turns++) store.turn();
  assert.deepEqual(
    store.served.map(({ page }) => page),
    Array.from({ length: asked + 1 }, (_, page) => page),
  );
  const tookMs = store.served.at(-1)?.atMs ?? Infinity;
  assert.ok(tookMs < (asked * 4) / 2, `${tookMs} ms for ${asked} pages of 4 ms each`);
  assert.ok(store.fetched > asked / 2);
});

test('each answer leaves before the next page is read from a slow disk', () => {
  const store = new SlowStore(4);
  for (let page = 0; page < 8; page++) store.ask(page);
  assert.equal(store.served.length, 1);
  store.turn();
  assert.equal(store.served.length, 2);
});

test('reads that cannot wait are refused, and the others are served', () => {
  const store = new SlowStore(4);
  for (let page = 0; page <= 1024; page++) store.ask(page);
  assert.throws(() => store.ask(1025), { code: 'STORAGE_BUSY' });
  for (let turns = 0; turns < 5000; turns++) store.turn();
  assert.equal(store.served.length, 1025);
  store.ask(1026);
});

test('what waits when the node closes its files is not read any more', () => {
  const store = new SlowStore(4);
  for (let page = 0; page < 8; page++) store.ask(page);
  store.server[Symbol.dispose]();
  for (let turns = 0; turns < 20; turns++) store.turn();
  assert.equal(store.served.length, 1);
});

test('nothing is read for those that are gone', () => {
  const store = new SlowStore(4);
  for (let page = 0; page < 100; page++) store.ask(page);
  store.gone = true;
  store.turn();
  assert.equal(store.served.length, 1);
  store.gone = false;
  store.ask(100);
  store.ask(101);
  for (let turns = 0; turns < 5; turns++) store.turn();
  assert.deepEqual(
    store.served.slice(1).map(({ page }) => page),
    [100, 101],
  );
});

test('what has nothing to fetch is looked at once', () => {
  const store = new SlowStore(4);
  store.hasPages = false;
  for (let page = 0; page < 1000; page++) store.ask(page);
  for (let turns = 0; turns < 1000; turns++) store.turn();
  assert.equal(store.served.length, 1000);
  assert.ok(store.fetched <= 1000, `${store.fetched} looks`);
});
