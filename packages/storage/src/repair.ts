/**
 * Mends what a read or a scrub has found damaged: log records are written again (record-repair.ts), pages are made anew
 * (page-repair.ts), both from what peers have. One segment at a time; what cannot be mended now is tried again.
 *
 * Until then a record that cannot be read makes its segment count as damaged, and a lost page is refused; everything else
 * is served as before.
 */
import { describeError, isCoded, type Clock } from '@rokka/kernel';
import type { Network } from '@rokka/transport';
import { storageErrors } from './errors.ts';
import { repairPages } from './page-repair.ts';
import { PeerClients, type SoundPeer } from './peer-clients.ts';
import { repairRecords } from './record-repair.ts';
import type { Segment } from './segment.ts';
import type { SegmentStore } from './store.ts';

export interface RepairerOptions {
  store: SegmentStore;
  network: Network;
  clock: Clock;
  /** Takes lines for people. */
  log?: ((line: string) => void) | undefined;
}

const RETRY_MS = 500;

export class Repairer implements AsyncDisposable {
  readonly #options: RepairerOptions;
  readonly #clients: PeerClients;
  readonly #closing = new AbortController();
  readonly #complaints = new Map<Segment, string>();
  #running: Promise<void> | undefined;
  #cancelRetry: (() => void) | undefined;
  repairedRecords = 0;
  repairedPages = 0;

  constructor(options: RepairerOptions) {
    this.#options = options;
    this.#clients = new PeerClients(options);
  }

  /** Something was found; called as often as one likes. */
  consider(): void {
    if (this.#running || this.#closing.signal.aborted) return;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    const wounded = [...this.#options.store.segments.all].filter(isWounded);
    if (wounded.length > 0) this.#running = this.#run(wounded);
  }

  /** Resolves when everything found so far has been mended, or tried once. */
  async settled(): Promise<void> {
    this.consider();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(storageErrors.STORAGE_CLOSED(['repair']));
    this.#cancelRetry?.();
    this.#clients[Symbol.dispose]();
    await this.#running;
  }

  async #run(segments: readonly Segment[]): Promise<void> {
    const { signal } = this.#closing;
    for (const segment of segments) {
      try {
        await this.#mend(segment);
      } catch (error) {
        if (signal.aborted) break;
        if (!isCoded(error)) throw error;
        const { store } = this.#options;
        if (error.code === 'STORAGE_DISK_FAILED') store.fail(error);
        store.noteDamage(segment, error);
        this.#complain(segment, describeError(error));
      }
    }
    this.#running = undefined;
    if (signal.aborted) return;
    if ([...this.#options.store.segments.all].some(isWounded))
      this.#cancelRetry ??= this.#options.clock.after(RETRY_MS, () => this.consider());
  }

  async #mend(segment: Segment): Promise<void> {
    const { store, clock } = this.#options;
    const { signal } = this.#closing;
    const peers = new Set(await this.#clients.soundPeers(segment));
    const onPeerFailed = (peer: SoundPeer, error: unknown) => {
      // Who does not answer is asked no more in this round: each page would wait for him anew.
      if (!this.#clients.failed(peer.member, error)) peers.delete(peer);
    };
    const options = { store, clock, signal, peers, onPeerFailed };
    if (segment.wounds.size > 0) {
      const count = await repairRecords(segment, options);
      this.repairedRecords += count;
      if (count > 0) this.#say(segment, `${count} records of the log were written again`);
      if (segment.wounds.size === 0) store.announce(segment);
    }
    if (segment.lostPages.size > 0) {
      const count = await repairPages(segment, options);
      this.repairedPages += count;
      if (count > 0) this.#say(segment, `${count} pages were made anew`);
    }
    store.coalescer.consider();
    const left = segment.wounds.size + segment.lostPages.size;
    if (left > 0)
      this.#complain(segment, `${left} records and pages are lost here; no member could give them`);
    else this.#complaints.delete(segment);
  }

  /** Once, until something else is the matter. */
  #complain(segment: Segment, what: string): void {
    if (this.#complaints.get(segment) === what) return;
    this.#complaints.set(segment, what);
    this.#say(segment, `cannot be mended now: ${what}`);
  }

  #say({ volume, pg }: Segment, what: string): void {
    this.#options.log?.(`volume ${volume}, protection group ${pg}: ${what}`);
  }
}

function isWounded(segment: Segment): boolean {
  return (segment.wounds.size > 0 || segment.lostPages.size > 0) && !segment.dropped && !segment.retired;
}
