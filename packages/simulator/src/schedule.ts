/**
 * A schedule: everything that a run is made from, as plain JSON. It is generated first and run then, so that a failing one can
 * be kept, replayed and made smaller by leaving steps out. Any subset of the steps is a valid schedule: a step that finds
 * nothing to do, or that the fault atlas does not allow at that moment, does nothing.
 *
 * Faults that end by themselves carry their own end (`forMs`), so that leaving one out leaves nothing behind.
 */
import type { Zone } from '@rokka/kernel';
import type { Knobs } from './knobs.ts';
import type { RegistryFault } from './registry-weather.ts';
import type { Failing, Tear, WriteTrap } from './sim-disk.ts';

/**
 * Members of the first group by their place, 0 to 5, whoever holds it at the time; from 6 on the machines that came later, in
 * the order in which they came. `writer` is the newest one that lives.
 */
export type Party = number | 'writer';

interface At {
  /** Virtual time since the start, in milliseconds. */
  readonly atMs: number;
}

interface Lasting {
  readonly forMs: number;
}

interface Salted {
  /** Decides everything random about this step, so that the steps before it do not. */
  readonly salt: number;
}

export type Step = At &
  (
    | ({ readonly kind: 'work'; readonly operations: number } & Salted)
    | { readonly kind: 'open' }
    | { readonly kind: 'kill-writer'; readonly which: 'newest' | 'oldest' }
    | {
        /** The newest dies in the middle of what it does next: after so many frames, or so many bytes of an entry in its memory. */
        readonly kind: 'kill-writer-within';
        readonly frames?: number;
        readonly ramBytes?: number;
        /** Frames of its opening do not count. */
        readonly whenOpen?: boolean;
        /** What comes so much later. */
        readonly next: 'take-over' | 'open';
        readonly afterMs: number;
      }
    | { readonly kind: 'take-over' }
    | ({ readonly kind: 'pause'; readonly who: Party } & Lasting)
    | ({ readonly kind: 'power-loss'; readonly node: number; readonly tear: Tear } & Salted & Lasting)
    | ({
        readonly kind: 'power-loss-within';
        readonly node: number;
        readonly tear: Tear;
        readonly operations: number;
      } & Salted &
        Lasting)
    | ({ readonly kind: 'kill-node'; readonly node: number } & Lasting)
    | ({ readonly kind: 'stop-node'; readonly node: number } & Lasting)
    | ({ readonly kind: 'hold'; readonly from: Party; readonly to: Party } & Lasting)
    | ({
        readonly kind: 'isolate';
        readonly nodes: readonly number[];
        readonly from: 'writer' | 'nodes';
      } & Lasting)
    | { readonly kind: 'reset'; readonly a: Party; readonly b: Party }
    | {
        /** What one sends the other arrives so much later, up to where it gives the connection up, and behind what comes on the next. */
        readonly kind: 'late-reset';
        readonly from: Party;
        readonly to: Party;
        readonly lateMs: number;
        readonly afterMs: number;
      }
    | ({
        readonly kind: 'slow-link';
        readonly from: Party;
        readonly to: Party;
        readonly factor: number;
      } & Lasting)
    | ({ readonly kind: 'slow-disk'; readonly node: number; readonly syncMsMax: number } & Lasting)
    | ({ readonly kind: 'failing-disk'; readonly node: number; readonly failing: Failing } & Lasting)
    | ({ readonly kind: 'rot'; readonly node: number; readonly where: 'log' | 'pages' | 'table' } & Salted)
    | { readonly kind: 'trap'; readonly node: number; readonly trap: WriteTrap }
    | { readonly kind: 'wipe'; readonly node: number }
    | ({
        readonly kind: 'begin-change';
        readonly group: number;
        readonly slot: number;
        /** With somebody of another zone or as another kind of member, which must be refused. */
        readonly misfit?: boolean;
      } & Salted)
    | ({
        readonly kind: 'registry-away';
        /** The newest one that lives, now. */
        readonly who: 'writer' | 'everybody';
        readonly fault: RegistryFault;
      } & Lasting)
    | {
        readonly kind: 'end-change';
        readonly group: number;
        readonly keep: 'newcomer' | 'member';
        /** Which of the group's changes. */
        readonly which: number;
      }
    | ({ readonly kind: 'drain'; readonly node: number } & Lasting)
    | { readonly kind: 'burn'; readonly node: number; readonly isTold: boolean }
    | ({
        readonly kind: 'strike-newcomer';
        readonly group: number;
        readonly how: 'kill' | 'power' | 'burn' | 'cut-writer' | 'cut-nodes';
        readonly tear: Tear;
      } & Salted &
        Lasting)
    | ({
        readonly kind: 'lose-zone';
        readonly zone: Zone;
        readonly more?: number;
        readonly tear: Tear;
      } & Salted &
        Lasting)
    | { readonly kind: 'add-node'; readonly zone: Zone }
    | {
        readonly kind: 'peek';
        readonly node: number | 'newcomer';
        readonly page: number;
        readonly back: number;
      }
    | ({
        readonly kind: 'tear-mtr';
        /** Another one opens so much later. */
        readonly afterMs: number;
      } & Lasting)
  );

export type StepKind = Step['kind'];
export type StepOf<K extends StepKind> = Extract<Step, { kind: K }>;

export interface Schedule {
  readonly version: 1;
  readonly seed: number;
  readonly knobs: Knobs;
  /** By time. */
  readonly steps: readonly Step[];
  /** When the faults end and the cluster must come to rest. */
  readonly endMs: number;
}

/** Times between events, not at whole milliseconds only; short enough to read. */
export function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}
