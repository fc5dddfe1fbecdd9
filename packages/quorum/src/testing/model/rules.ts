/**
 * The places where the model asks the protocol. `protocol` answers with the code that Rokka runs; a mutant answers one
 * question wrongly, the way others have got it wrong, and the search must find where that leads (mutants.ts).
 */
import type { SegmentAnswer } from '../../recovery-decision.ts';
import type { QuorumFormulas } from '../../formulas.ts';
import * as membership from '../../membership.ts';
import type { Membership } from '../../membership.ts';

/**
 * - I1: nothing that was acknowledged is above the VDL of a later recovery, and a volume is served when all of it is on a
 *   write quorum. I2: nothing annulled counts in an SCL. I6: what is acknowledged is on a write quorum, and PGCL and VDL
 *   never fall. I9: a membership epoch means one thing. I10: no read quorum in force misses what was acknowledged. I11: a
 *   newcomer that stays has what was durable when it came. I14: LSNs are used once, and below the ranges of later openings.
 * - `refused`: a core met what it says can't be: two histories, a lost write, an annulled one that was durable.
 */
export type Invariant = 'I1' | 'I2' | 'I6' | 'I9' | 'I10' | 'I11' | 'I14' | 'refused';

export interface Rules {
  formulasOf(of: Membership): QuorumFormulas;
  readonly finish: typeof membership.finishReplacement;
  readonly revert: typeof membership.revertReplacement;
  readonly force: typeof membership.forceReplacement;
  readonly giveUp: typeof membership.giveUpReplacement;
  /** What a recovery makes of a member's answers before it decides. */
  trusted(answers: ReadonlyMap<string, SegmentAnswer>): ReadonlyMap<string, SegmentAnswer>;
  /** Whether the registry refuses a writer whose volume was taken over. */
  readonly compareAndSet: boolean;
  /** Whether a fence that asks for a state also binds the node to the epoch. */
  readonly fenceBinds: boolean;
  /** What must hold on which quorum before a recovered volume is served. */
  readonly serveWhen: 'whole on a write quorum' | 'fenced on a write quorum' | 'whole on a read quorum';
  /** Whether records that come after a truncation are held against it. */
  readonly rangesBind: boolean;
  /** Whether ranges reach as far as a record may have been allocated. */
  readonly rangesReach: boolean;
  /** What a writer counts: SCLs, or members that have a record whatever came before it. */
  readonly progress: 'scls' | 'records';
  /** Whether a newcomer that hydrates is unknown to whoever asks it. */
  readonly hydratingIsUnknown: boolean;
  /** Whether nodes refuse ships of another membership epoch. */
  readonly membershipBinds: boolean;
  /** Invariants that a mutant breaks by its nature: what that leads to is searched for. */
  readonly ignored: readonly Invariant[];
}

export const protocol: Rules = {
  formulasOf: membership.formulasOf,
  finish: membership.finishReplacement,
  revert: membership.revertReplacement,
  force: membership.forceReplacement,
  giveUp: membership.giveUpReplacement,
  trusted: (answers) => answers,
  compareAndSet: true,
  fenceBinds: true,
  serveWhen: 'whole on a write quorum',
  rangesBind: true,
  rangesReach: true,
  progress: 'scls',
  hydratingIsUnknown: true,
  membershipBinds: true,
  ignored: [],
};
