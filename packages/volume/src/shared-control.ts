/**
 * The shared memory between an engine's worker and the event loop, and the two ways to wait in it.
 *
 * A wait is on an event count, not on the thing waited for: whoever changes anything adds one to the other side's count
 * and notifies; whoever waits reads the count, looks whether what it needs is there, and sleeps only while the count is
 * still the one it read. So no wake-up is lost, and one that comes late or for nothing does no harm: a waiter that
 * trusted a wake-up once took the answer to an older request for its own. Answers carry their request's id as well.
 *
 * Plain data (page numbers, contents, texts) is published by the atomic store that follows it.
 */
import { assert, CodedError, copyBytes, PAGE_SIZE } from '@rokka/kernel';
import type { PageNumber } from '@rokka/kernel';
import { SharedRing } from './shared-ring.ts';

/** Goes to the worker as `workerData` or by `postMessage`. */
export interface SharedPageMemory {
  readonly control: SharedArrayBuffer;
  readonly ring: SharedArrayBuffer;
  readonly pagesMax: number;
}

/** Pages that one request can fetch. */
export const FETCH_PAGES_MAX = 32;
export const REQUEST = { FETCH: 1, GROW: 2 } as const;
const ANSWER = { DONE: 0, FAILED: 1 } as const;

const WORD = {
  WORKER: 0,
  HOST: 1,
  ENDED: 2,
  HEAD: 3,
  TAIL: 4,
  REQUEST: 5,
  ANSWER: 6,
  KIND: 7,
  COUNT: 8,
  STATUS: 9,
  HURRY: 10,
};
const COUNTER = { PUT: 0, DURABLE: 1, MAPPED: 2 };
const TEXT_BYTES = 2048;
const AT = layout({
  words: 64,
  counters: 64,
  pages: FETCH_PAGES_MAX * 8,
  written: FETCH_PAGES_MAX,
  failure: TEXT_BYTES,
  end: TEXT_BYTES,
  contents: FETCH_PAGES_MAX * PAGE_SIZE,
});

export class SharedControl {
  readonly ring: SharedRing;
  readonly pagesMax: number;
  readonly #words: Int32Array;
  readonly #counters: BigInt64Array;
  readonly #pages: Float64Array;
  readonly #written: Uint8Array;
  readonly #failure: Uint8Array;
  readonly #end: Uint8Array;
  readonly #contents: Uint8Array;

  constructor(memory: SharedPageMemory) {
    const { control } = memory;
    this.pagesMax = memory.pagesMax;
    this.#words = new Int32Array(control, AT.words, 16);
    this.#counters = new BigInt64Array(control, AT.counters, 8);
    this.#pages = new Float64Array(control, AT.pages, FETCH_PAGES_MAX);
    this.#written = new Uint8Array(control, AT.written, FETCH_PAGES_MAX);
    this.#failure = new Uint8Array(control, AT.failure, TEXT_BYTES);
    this.#end = new Uint8Array(control, AT.end, TEXT_BYTES);
    this.#contents = new Uint8Array(control, AT.contents, FETCH_PAGES_MAX * PAGE_SIZE);
    this.ring = new SharedRing(memory.ring, { words: this.#words, head: WORD.HEAD, tail: WORD.TAIL });
  }

  static allocate(options: { ringBytes: number; pagesMax: number }): SharedPageMemory {
    return {
      control: new SharedArrayBuffer(AT.length),
      ring: new SharedArrayBuffer(options.ringBytes),
      pagesMax: options.pagesMax,
    };
  }

  /** Mini-transactions that the worker has put into the ring. */
  get put(): number {
    return this.#count(COUNTER.PUT);
  }

  set put(count: number) {
    this.#setCount(COUNTER.PUT, count);
  }

  /** Mini-transactions of the worker that are durable. */
  get durable(): number {
    return this.#count(COUNTER.DURABLE);
  }

  set durable(count: number) {
    this.#setCount(COUNTER.DURABLE, count);
  }

  get mappedPages(): number {
    return this.#count(COUNTER.MAPPED);
  }

  set mappedPages(count: number) {
    this.#setCount(COUNTER.MAPPED, count);
  }

  /** Why the host has ended; nothing works from then on. */
  get end(): CodedError | undefined {
    return Atomics.load(this.#words, WORD.ENDED) === 0 ? undefined : readError(this.#end);
  }

  /** The host's side ends for good. */
  setEnd(error: CodedError): void {
    writeError(this.#end, error);
    Atomics.store(this.#words, WORD.ENDED, 1);
    this.wakeWorker();
    this.wakeHost();
    // It may be gathering.
    this.hurry();
  }

  wakeWorker(): void {
    this.#wake(WORD.WORKER);
  }

  wakeHost(): void {
    this.#wake(WORD.HOST);
  }

  /** Blocks the worker until `ready`. No deadline: what ends it is the host's end, or the worker being killed. */
  blockUntil(ready: () => boolean): void {
    for (let isHurried = false; ; isHurried = true) {
      const seen = Atomics.load(this.#words, WORD.WORKER);
      const { end } = this;
      if (end) throw end;
      if (ready()) return;
      if (!isHurried) this.hurry();
      Atomics.wait(this.#words, WORD.WORKER, seen);
    }
  }

  /** The host's count, for `hostWoken`: to be read before looking whether there is anything to do. */
  get hostSeen(): number {
    return Atomics.load(this.#words, WORD.HOST);
  }

  /** Resolves when the worker has woken the host since `seen`; undefined where it has already. */
  hostWoken(seen: number): Promise<unknown> | undefined {
    const wait = Atomics.waitAsync(this.#words, WORD.HOST, seen);
    return wait.async ? wait.value : undefined;
  }

  /** The host is to gather no longer: somebody waits for what it would do. */
  hurry(): void {
    if (Atomics.exchange(this.#words, WORD.HURRY, 1) === 0) Atomics.notify(this.#words, WORD.HURRY);
  }

  /** Before the host does all that there is: whoever was in a hurry by now is served by that. */
  calmDown(): void {
    Atomics.store(this.#words, WORD.HURRY, 0);
  }

  /**
   * Resolves after `ms`, or when somebody is in a hurry; undefined where somebody has been since `calmDown`. The timer is that of the word
   * in shared memory: nothing simulated has a thread beside it.
   */
  gathered(ms: number): Promise<unknown> | undefined {
    const wait = Atomics.waitAsync(this.#words, WORD.HURRY, 0, ms);
    return wait.async ? wait.value : undefined;
  }

  /** The worker's half of a request: asks and blocks for the answer. @throws what the host answered with */
  ask(kind: number, pages: readonly PageNumber[]): void {
    assert(pages.length > 0 && pages.length <= FETCH_PAGES_MAX, () => `${pages.length} pages in a request`);
    const id = (Atomics.load(this.#words, WORD.REQUEST) + 1) | 0;
    this.#pages.set(pages);
    this.#words[WORD.KIND] = kind;
    this.#words[WORD.COUNT] = pages.length;
    Atomics.store(this.#words, WORD.REQUEST, id);
    this.wakeHost();
    this.blockUntil(() => Atomics.load(this.#words, WORD.ANSWER) === id);
    if (this.#words[WORD.STATUS] === ANSWER.FAILED) throw readError(this.#failure);
  }

  /** What the answer brought for the request's page at `index`: a view, or undefined for a page never written. */
  content(index: number): Uint8Array | undefined {
    if (this.#written[index] === 0) return undefined;
    return this.#contents.subarray(index * PAGE_SIZE, (index + 1) * PAGE_SIZE);
  }

  /** The host's half: the request that waits for an answer, if one does. */
  request(): { id: number; kind: number; pages: PageNumber[] } | undefined {
    const id = Atomics.load(this.#words, WORD.REQUEST);
    if (id === Atomics.load(this.#words, WORD.ANSWER)) return undefined;
    const pages = [...this.#pages.subarray(0, this.#words[WORD.COUNT])] as PageNumber[];
    return { id, kind: this.#words[WORD.KIND], pages };
  }

  setContent(index: number, content: Uint8Array | undefined): void {
    this.#written[index] = content ? 1 : 0;
    if (content) copyBytes(this.#contents, content, index * PAGE_SIZE);
  }

  answer(id: number, failure?: CodedError): void {
    if (failure) writeError(this.#failure, failure);
    this.#words[WORD.STATUS] = failure ? ANSWER.FAILED : ANSWER.DONE;
    Atomics.store(this.#words, WORD.ANSWER, id);
    this.wakeWorker();
  }

  #wake(word: number): void {
    Atomics.add(this.#words, word, 1);
    Atomics.notify(this.#words, word);
  }

  #count(counter: number): number {
    return Number(Atomics.load(this.#counters, counter));
  }

  #setCount(counter: number, count: number): void {
    Atomics.store(this.#counters, counter, BigInt(count));
  }
}

/** Offsets of the parts one after the other, each aligned to 64 bytes. */
function layout<K extends string>(parts: Record<K, number>): Record<K | 'length', number> {
  const at: Record<string, number> = {};
  let length = 0;
  for (const [name, bytes] of Object.entries<number>(parts)) {
    at[name] = length;
    length += Math.ceil(bytes / 64) * 64;
  }
  return { ...at, length } as Record<K | 'length', number>;
}

/** A u32 length, then code and message; a message that is too long loses its end. */
function writeError(area: Uint8Array, error: CodedError): void {
  const text = new TextEncoder().encode(`${error.code}\n${error.message}`).subarray(0, area.length - 4);
  new DataView(area.buffer, area.byteOffset).setUint32(0, text.length, true);
  area.set(text, 4);
}

function readError(area: Uint8Array): CodedError {
  const length = new DataView(area.buffer, area.byteOffset).getUint32(0, true);
  // Text decoders refuse shared memory, hence the copy.
  const [code, ...message] = new TextDecoder().decode(area.slice(4, 4 + length)).split('\n');
  return new CodedError(code, message.join('\n'));
}
