/**
 * Pulls the positions [from, to) of something long from several sources at once, piece by piece: several requests are in
 * flight, their answers are taken strictly in order. What "position" means is the caller's: page numbers, LSNs.
 *
 * A piece may end earlier than was asked for; its rest is asked for again before anything behind it is taken. A source that
 * fails is left out from then on, and what it was asked for is asked of another one. How much is asked for at a time
 * follows what the answers weigh. Memory is bounded by the window.
 */
import { assert } from '@rokka/kernel';

export interface Piece {
  /** It covers the positions up to here; above what was asked from, at most what was asked to. */
  next: number;
  bytes: number;
}

export interface OrderedPullOptions<S, P extends Piece> {
  from: number;
  to: number;
  sources: readonly S[];
  /** Positions that are asked for first. */
  stride: number;
  strideMax: number;
  /** Requests in flight. */
  window: number;
  /** With nothing else to do unless given. */
  pace?: Pace;
  /** What an answer should weigh about, at most. */
  pieceBytes: number;
  request(source: S, from: number, to: number): Promise<P>;
  /** The next piece in order, and the rest that is due once it is taken in; whatever it throws ends the pull. */
  take(piece: P, rest: () => Promise<void>): Promise<void> | void;
  /** Asked before each piece is taken; false ends the pull. */
  goesOn(): boolean;
  /** A source is left out from now on. */
  onFailed?(source: S, error: unknown): void;
}

/** How a pull leaves room for what else there is to do. */
export interface Pace {
  /** How many requests may be in flight now, of so many where there is nothing else; at least one. */
  inFlight(window: number): number;
  /** Something is asked for now. Answers the rest that follows when it was taken in. */
  asked(): () => Promise<void>;
}

/** Of somebody who has nothing else to do. */
export const UNPACED: Pace = { inFlight: (window) => window, asked: () => async () => {} };

interface Slot<S, P> {
  from: number;
  to: number;
  source: S;
  rest: () => Promise<void>;
  outcome: Promise<{ piece: P } | { error: unknown }>;
}

export class OrderedPull<S, P extends Piece> {
  readonly #options: OrderedPullOptions<S, P>;
  readonly #slots: Slot<S, P>[] = [];
  #sources: S[];
  #stride: number;
  #asked: number;

  constructor(options: OrderedPullOptions<S, P>) {
    assert(options.sources.length > 0, 'a pull needs a source');
    this.#options = options;
    this.#sources = [...options.sources];
    this.#stride = options.stride;
    this.#asked = options.from;
  }

  /** Answers whether everything was taken. @throws the last source's error where all have failed, and what `take` throws */
  async run(): Promise<boolean> {
    const { goesOn, take } = this.#options;
    for (;;) {
      this.#fill();
      const head = this.#slots[0];
      if (!head) return true;
      const outcome = await head.outcome;
      if (!goesOn()) return false;
      if ('error' in outcome) {
        this.#failed(head.source, outcome.error);
        this.#slots[0] = this.#ask(head.from, head.to);
        continue;
      }
      const { piece } = outcome;
      assert(piece.next > head.from && piece.next <= head.to, 'a piece lies within what was asked for');
      if (piece.next < head.to) this.#slots[0] = this.#ask(piece.next, head.to);
      else this.#slots.shift();
      this.#fit(piece, head);
      await take(piece, head.rest);
      if (!goesOn()) return false;
    }
  }

  #fill(): void {
    const { to, pace = UNPACED } = this.#options;
    const window = pace.inFlight(this.#options.window);
    while (this.#slots.length < window && this.#asked < to) {
      const end = Math.min(to, this.#asked + this.#stride);
      this.#slots.push(this.#ask(this.#asked, end));
      this.#asked = end;
    }
  }

  /** Of the source that has the least to do. */
  #ask(from: number, to: number): Slot<S, P> {
    const load = (source: S) => this.#slots.filter((slot) => slot.source === source).length;
    const source = this.#sources.reduce((best, one) => (load(one) < load(best) ? one : best));
    const { request, pace = UNPACED } = this.#options;
    const rest = pace.asked();
    const outcome = request(source, from, to).then(
      (piece) => ({ piece }),
      (error: unknown) => ({ error }),
    );
    return { from, to, source, rest, outcome };
  }

  #failed(source: S, error: unknown): void {
    // Several of its requests may fail; the first one has put it out.
    if (!this.#sources.includes(source)) return;
    this.#options.onFailed?.(source, error);
    this.#sources = this.#sources.filter((one) => one !== source);
    if (this.#sources.length === 0) throw error;
  }

  #fit(piece: P, asked: { from: number; to: number }): void {
    const { pieceBytes, strideMax } = this.#options;
    const cut = piece.next < asked.to;
    if (cut) this.#stride = Math.max(1, Math.floor((piece.next - asked.from) * 0.9));
    else if (piece.bytes < pieceBytes * 0.4) this.#stride = Math.min(strideMax, this.#stride * 2);
    else if (piece.bytes > pieceBytes * 0.9) this.#stride = Math.max(1, Math.floor(this.#stride * 0.8));
  }
}
