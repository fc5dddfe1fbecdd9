/**
 * Fills segments with what their peers hold: newcomers to a group (aurora.md §9, trap 17), and full segments whose pages
 * were lost. A few at a time; what cannot go on now is tried again. The steps of one segment stand in hydration-run.ts.
 */
import { describeError, isCoded, type Clock, type CodedError } from '@rokka/kernel';
import type { Network } from '@rokka/transport';
import { storageErrors } from './errors.ts';
import type { Gossip } from './gossip.ts';
import { HydrationRun } from './hydration-run.ts';
import { PeerClients } from './peer-clients.ts';
import { atSameEpochs, type Segment } from './segment.ts';
import type { SegmentStore } from './store.ts';

export interface HydratorOptions {
  store: SegmentStore;
  network: Network;
  clock: Clock;
  gossip: Gossip;
  /** Takes lines for people. */
  log?: ((line: string) => void) | undefined;
}

/** Segments that are filled at the same time. */
const RUNS_MAX = 2;
const RETRY_MS = 500;

export class Hydrator implements AsyncDisposable {
  readonly #options: HydratorOptions;
  readonly #clients: PeerClients;
  readonly #running = new Map<Segment, Promise<void>>();
  /** Why a segment does not get on. */
  readonly #reasons = new Map<Segment, CodedError>();
  readonly #closing = new AbortController();
  #cancelRetry: (() => void) | undefined;
  completedCount = 0;

  constructor(options: HydratorOptions) {
    this.#options = options;
    this.#clients = new PeerClients(options);
    this.consider();
  }

  /** Looks for segments that lack something. Called when one is made, when one is found damaged, and now and then. */
  consider(): void {
    if (this.#closing.signal.aborted) return;
    const { store } = this.#options;
    // Those that failed last come last: one that cannot get on must not keep the others from it.
    const waiting = [...store.segments.all].filter((segment) => needsFilling(segment));
    waiting.sort((a, b) => Number(this.#reasons.has(a)) - Number(this.#reasons.has(b)));
    for (const segment of waiting) {
      if (this.#running.size >= RUNS_MAX) break;
      if (!this.#running.has(segment)) this.#running.set(segment, this.#run(segment));
    }
    if (waiting.length > 0) this.#retryLater();
  }

  /** Why the segment does not get on, where it does not. */
  reasonOf(segment: Segment): CodedError | undefined {
    return this.#reasons.get(segment);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(storageErrors.STORAGE_CLOSED(['hydration']));
    this.#cancelRetry?.();
    this.#clients[Symbol.dispose]();
    await Promise.allSettled(this.#running.values());
  }

  #retryLater(): void {
    this.#cancelRetry ??= this.#options.clock.after(RETRY_MS, () => {
      this.#cancelRetry = undefined;
      this.consider();
    });
  }

  /** One attempt. Never rejects for a reason of the world. */
  async #run(segment: Segment): Promise<void> {
    const { log } = this.#options;
    const { epochs } = segment;
    const name = `volume ${segment.volume}, protection group ${segment.pg}`;
    try {
      const run = new HydrationRun(segment, {
        ...this.#options,
        clients: this.#clients,
        signal: this.#closing.signal,
      });
      await run.advance();
      this.#reasons.delete(segment);
      this.completedCount++;
      log?.(`${name}: complete up to LSN ${segment.durableScl}`);
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      if (!isCoded(error)) throw error;
      if (isCoded(error, 'STORAGE_DISK_FAILED')) this.#options.store.fail(error);
      if (segment.dropped) this.#reasons.delete(segment);
      else {
        const news = this.#reasons.get(segment)?.message !== error.message;
        this.#reasons.set(segment, error);
        if (news) log?.(`${name}: ${describeError(error)}`);
      }
    } finally {
      this.#running.delete(segment);
    }
    // What was refused it for its epochs may be given now.
    if (!atSameEpochs(segment, epochs)) this.consider();
    this.#retryLater();
  }
}

function needsFilling(segment: Segment): boolean {
  const { hydration, pagesFault, retired, dropped, fault } = segment;
  return (hydration !== undefined || pagesFault !== undefined) && !retired && !dropped && !fault;
}
