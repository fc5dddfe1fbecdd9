/**
 * Clients of one writer: they change pages in mini-transactions through the real page cache, wait for some of them to last,
 * and look at pages. What they write says who wrote it, so that a person sees in a page where its bytes come from.
 */
import { asLsn, asPageNumber, isCoded, PAGE_SIZE, type SeededRandom } from '@rokka/kernel';
import { PageCache, whenReady, type PageWrite } from '@rokka/volume';
import type { SimEvent } from './events.ts';
import type { Knobs } from './knobs.ts';
import type { ObservedSink } from './observed-sink.ts';
import { stream } from './seeds.ts';

/** Operations that wait for their turn; more are turned away, as a busy server does. */
const QUEUE_MAX = 64;
const LENGTHS = [1, 24, 24, 100, 900, PAGE_SIZE];
const SMALL = [1, 24];

export interface ClientOptions {
  writer: string;
  sink: ObservedSink;
  seed: number;
  knobs: Knobs;
  emit: (event: SimEvent) => void;
  /** An operation ended by an error that is no error of the world. */
  onBug(error: unknown): void;
  /** Pages of the volume that the workload has come to touch. */
  pages: () => number;
}

export class Client {
  readonly cache: PageCache;
  readonly #options: ClientOptions;
  readonly #queue: number[] = [];
  #busy = 0;
  /** Operations that were carried out. */
  done = 0;

  constructor(options: ClientOptions) {
    this.#options = options;
    const { sink, knobs } = options;
    this.cache = new PageCache(sink, { sizeBytes: knobs.cacheFrames * PAGE_SIZE });
  }

  get idle(): boolean {
    return this.#busy === 0 && this.#queue.length === 0;
  }

  /** Asks for `operations`, each following from `salt` alone. */
  work(operations: number, salt: number): void {
    for (let i = 0; i < operations && this.#queue.length < QUEUE_MAX; i++) this.#queue.push(salt + i);
    while (this.#busy < this.#options.knobs.clients && this.#queue.length > 0)
      this.#run().catch(this.#options.onBug);
  }

  async #run(): Promise<void> {
    this.#busy++;
    try {
      for (let salt = this.#queue.shift(); salt !== undefined; salt = this.#queue.shift()) {
        await this.#operation(stream(salt, `operation ${this.#options.writer}`), salt);
        this.done++;
      }
    } catch (error) {
      // The writer was replaced or found no quorum: what its clients wanted is not done.
      if (!isCoded(error)) throw error;
      this.#queue.length = 0;
    } finally {
      this.#busy--;
    }
  }

  async #operation(random: SeededRandom, salt: number): Promise<void> {
    if (random.chance(0.25)) return this.look(random.below(this.#options.pages()));
    const ticket = await whenReady(this.cache, () => this.cache.apply(this.#writes(random, salt)));
    if (random.chance(0.4) && !this.#options.knobs.eager) await this.cache.whenDurable(ticket);
  }

  /** Reads a page as a client does, and reports what it saw. */
  async look(number: number): Promise<void> {
    const { writer, sink, emit } = this.#options;
    const page = asPageNumber(number);
    await whenReady(this.cache, () => {
      const content = this.cache.page(page);
      emit({ kind: 'seen', writer, epoch: sink.epoch, page, applied: asLsn(sink.applied), content });
    });
  }

  #writes(random: SeededRandom, salt: number): PageWrite[] {
    const { writer, pages, knobs } = this.#options;
    const most = random.chance(0.1) ? Math.floor(knobs.cacheFrames / 2) : 4;
    const chosen = new Set(Array.from({ length: 1 + random.below(most) }, () => random.below(pages())));
    return [...chosen].map((page) => {
      const length = random.pick(knobs.eager ? SMALL : LENGTHS);
      const text = `${writer} ${salt} p${page} `;
      return {
        page: asPageNumber(page),
        offset: random.below(PAGE_SIZE - length + 1),
        bytes: Buffer.from(text.repeat(Math.ceil(length / text.length)).slice(0, length)),
        init: random.chance(0.1),
      };
    });
  }
}
