/**
 * The dead-man switch: freezes several file systems at once, and lets go of all of them when it is told, when whoever would tell it is gone,
 * or when the time is over, whichever comes first. Pure but for the clock: what freezes is handed in.
 *
 * - A file system that somebody else had frozen is his: it is never thawed here.
 * - Every other one whose freeze was begun is thawed, also where the freeze failed: that says little of what the kernel did.
 * - A freeze that is under way cannot be taken back: the kernel refuses a thaw until it is over. So its end is waited for, and then it is
 *   thawed. That wait has no deadline, because giving up would leave the file system frozen for ever.
 */
import { assert, type Clock } from '@rokka/kernel';

export type FreezeEnd = 'frozen' | 'foreign' | { readonly failed: string };
/** `loose`: it was not frozen. */
export type ThawEnd = 'thawed' | 'loose' | { readonly failed: string };

export interface Freezable {
  readonly name: string;
  /** Never rejects. */
  freeze(): Promise<FreezeEnd>;
  /** Never rejects. */
  thaw(): Promise<ThawEnd>;
}

export interface LetGo {
  /** All of them were frozen until they were thawed because somebody said so. */
  readonly isWhole: boolean;
  readonly why: string;
  /** From the first freeze to the last thaw. */
  readonly frozenForMs: number;
}

export interface FreezeReport {
  /** By the freezables' names. */
  readonly ends: Readonly<Record<string, FreezeEnd>>;
  readonly isWhole: boolean;
}

const THAW_AGAIN_MS = 100;

export class DeadMan {
  readonly #freezables: readonly Freezable[];
  readonly #clock: Clock;
  readonly #holdMs: number;
  readonly #freezing = new Map<Freezable, Promise<FreezeEnd>>();
  #frozenAtMs: number | undefined;
  /** All of them are frozen, or were when it let go. */
  #isWhole = false;
  #cancel = () => {};
  #lettingGo: Promise<LetGo> | undefined;

  constructor(of: { freezables: readonly Freezable[]; clock: Clock; holdMs: number }) {
    this.#freezables = of.freezables;
    this.#clock = of.clock;
    this.#holdMs = of.holdMs;
  }

  /** Once. Where one cannot be frozen, none stays so. */
  async freeze(): Promise<FreezeReport> {
    assert(this.#frozenAtMs === undefined, 'it freezes once');
    // Before the first: what is frozen without a deadline may stay so.
    const late = () => void this.#letGo(`${this.#holdMs} ms were over`, { isTold: false });
    this.#frozenAtMs = this.#clock.nowMs();
    if (!this.#lettingGo) {
      this.#cancel = this.#clock.after(this.#holdMs, late, { keepAlive: true });
      for (const one of this.#freezables) this.#freezing.set(one, one.freeze());
    }
    const ends = await Promise.all(this.#freezing.values());
    const named = [...this.#freezing.keys()].map(({ name }, at) => [name, ends[at]] as const);
    this.#isWhole = !this.#lettingGo && ends.every((end) => end === 'frozen');
    if (!this.#isWhole) void this.#letGo('not all of them could be frozen', { isTold: false });
    return { ends: Object.fromEntries(named), isWhole: this.#isWhole };
  }

  /** Whoever says so says it in time, or is told how it ended before. */
  thaw(): Promise<LetGo> {
    return this.#letGo('they were thawed', { isTold: true });
  }

  /** Nobody is left who could say so. */
  abandon(why: string): Promise<LetGo> {
    return this.#letGo(why, { isTold: false });
  }

  #letGo(why: string, of: { isTold: boolean }): Promise<LetGo> {
    this.#cancel();
    return (this.#lettingGo ??= this.#thawAll(why, of));
  }

  async #thawAll(why: string, { isTold }: { isTold: boolean }): Promise<LetGo> {
    const wasWhole = isTold && this.#isWhole;
    const all = [...this.#freezing].map(async ([one, freezing]) => {
      const end = await freezing;
      if (end === 'foreign') return false;
      return await thawSurely(one, { clock: this.#clock });
    });
    const were = await Promise.all(all);
    const isWhole = wasWhole && were.every(Boolean);
    const said = isTold && !isWhole ? 'one of them was not frozen any more' : why;
    const frozenForMs = this.#clock.nowMs() - (this.#frozenAtMs ?? this.#clock.nowMs());
    return { isWhole, why: said, frozenForMs: Math.round(frozenForMs) };
  }
}

/**
 * Asks until the kernel has answered, because what cannot be asked may be frozen.
 * @param of.triesMax after so many it is given up, and counts as frozen still: rejects with what was said last; without it, never
 * @returns whether it was frozen
 */
export async function thawSurely(
  one: Freezable,
  { clock, triesMax = Infinity }: { clock: Clock; triesMax?: number },
): Promise<boolean> {
  for (let tries = 1; ; tries++) {
    const end = await one.thaw();
    if (end === 'thawed') return true;
    if (end === 'loose') return false;
    if (tries >= triesMax) throw new Error(`${one.name}: ${end.failed}`);
    await clock.sleep(THAW_AGAIN_MS);
  }
}
