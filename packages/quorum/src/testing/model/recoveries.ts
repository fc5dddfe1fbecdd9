/**
 * Recoveries as values: the answers by which one was decided, and how far each member was seen with the decided range
 * applied. Each question is put to a real `Recovery` that has been told just that.
 */
import { asEpoch, asLsn, type Epoch, type Lsn, must } from '@rokka/kernel';
import { Recovery, type VolumeStart } from '../../recovery.ts';
import type { RecoveryDecision, SegmentAnswer } from '../../recovery-decision.ts';
import type { TruncationRange } from '../../truncation.ts';
import { Memo } from './interned.ts';
import { type Memberships, PG } from './memberships.ts';
import type { Rules } from './rules.ts';
import { NO_ANSWER, type Segments } from './segments.ts';

/** By node: an answer's number, or NO_ANSWER. */
export type Answers = readonly number[];

/** What a recovery is told before it starts. */
export interface Opening {
  readonly volumeEpoch: number;
  readonly statuses: readonly number[];
  /** Ranges that the registry knew. */
  readonly ranges: readonly TruncationRange[];
}

export interface Decided {
  readonly vdl: Lsn;
  readonly nextLsn: Lsn;
  readonly range: TruncationRange;
  readonly ranges: readonly TruncationRange[];
  /** Answers that lead to the same decision and the same holders: what is to be remembered. */
  readonly answers: Answers;
}

/** How things stand once a recovery was decided. */
export interface Standing {
  readonly kept: Lsn | undefined;
  readonly canServe: boolean;
  readonly repairs: readonly { target: number; after: Lsn; through: Lsn; sources: readonly number[] }[];
}

export class Recoveries {
  readonly #rules: Rules;
  readonly #memberships: Memberships;
  readonly #segments: Segments;
  readonly #allocationLimit: number;
  readonly #decisions = new Memo<Decided>();
  readonly #checks = new Memo<number>();
  readonly #standings = new Memo<Standing>();
  readonly #starts = new Memo<VolumeStart>();

  constructor(options: {
    rules: Rules;
    memberships: Memberships;
    segments: Segments;
    allocationLimit: number;
  }) {
    this.#rules = options.rules;
    this.#memberships = options.memberships;
    this.#segments = options.segments;
    this.#allocationLimit = options.rules.rangesReach ? options.allocationLimit : 0;
  }

  /** @throws QUORUM_SPLIT_HISTORY, QUORUM_BAD_TAIL, QUORUM_RANGE_BELOW_DURABLE, QUORUM_RANGE_CONFLICT */
  decide(opening: Opening, answers: Answers): Decided | undefined {
    if (!this.#memberships.canRead(opening.statuses, this.#known(answers))) return undefined;
    return this.#decisions.get(keyOf(opening, answers), () => {
      const decision = must(this.#recovery(opening, answers).decision(), 'the rule says that it can decide');
      const { vdl, nextLsn, range, ranges } = decision;
      return { vdl, nextLsn, range, ranges, answers: this.#leastAnswers(opening, answers, decision) };
    });
  }

  /**
   * A member answers a fence with the decided range. 0 where that does not count, else its SCL + 1.
   * @throws QUORUM_LOST_WRITES, QUORUM_IMPOSSIBLE_SCL
   */
  clipped(opening: Opening, answers: Answers, answer: number, node: number): number {
    return this.#checks.get(`${keyOf(opening, answers)}|${answer}|${node}`, () => {
      const recovery = this.#recovery(opening, answers);
      const decision = must(recovery.decision());
      const told = this.#segments.answer(answer, opening.volumeEpoch);
      recovery.answered(PG, this.#memberships.nameOf(node), told);
      const knows = told.ranges.some(({ volumeEpoch }) => volumeEpoch === decision.range.volumeEpoch);
      return knows && told.hydrating !== true ? told.scl + 1 : 0;
    });
  }

  standing(opening: Opening, answers: Answers, clipped: readonly number[]): Standing {
    return this.#standings.get(`${keyOf(opening, answers)}|${clipped.join()}`, () => {
      const recovery = this.#clippedRecovery(opening, answers, clipped);
      const repairs = recovery.repairs().map(({ member, after, through, sources }) => ({
        target: this.#memberships.indexOf(member),
        after,
        through,
        sources: sources.map((source) => this.#memberships.indexOf(source)),
      }));
      const kept = recovery.lastKept(PG);
      return { kept, repairs, canServe: this.#canServe(recovery, opening, kept, clipped) };
    });
  }

  start(opening: Opening, answers: Answers, clipped: readonly number[]): VolumeStart {
    return this.#starts.get(`${keyOf(opening, answers)}|${clipped.join()}`, () => {
      const recovery = this.#clippedRecovery(opening, answers, clipped);
      if (recovery.canServe()) return recovery.start();
      // Only a mutant comes here: it serves when the protocol would not.
      const { vdl, nextLsn, ranges } = must(recovery.decision());
      const scls = new Map(
        clipped.flatMap((scl, node): [string, Lsn][] =>
          scl === 0 ? [] : [[this.#memberships.nameOf(node), asLsn(scl - 1)]],
        ),
      );
      const volumeEpoch = asEpoch(opening.volumeEpoch);
      return { volumeEpoch, vdl, nextLsn, ranges, groups: [{ pg: PG, lastLsn: vdl, scls }] };
    });
  }

  /** Members that answered with knowledge of themselves, as bits. */
  #known(answers: Answers): number {
    let known = 0;
    for (const [node, answer] of answers.entries())
      if (this.#segments.answerIsKnown(answer)) known |= 1 << node;
    return known;
  }

  #canServe(
    recovery: Recovery,
    { statuses }: Opening,
    kept: Lsn | undefined,
    clipped: readonly number[],
  ): boolean {
    const { serveWhen } = this.#rules;
    if (serveWhen === 'whole on a write quorum') return recovery.canServe();
    const who = (enough: (scl: number) => boolean) =>
      clipped.reduce((bits, scl, node) => (enough(scl) ? bits | (1 << node) : bits), 0);
    if (serveWhen === 'fenced on a write quorum')
      return this.#memberships.canWrite(
        statuses,
        who((scl) => scl > 0),
      );
    return (
      kept !== undefined &&
      this.#memberships.canRead(
        statuses,
        who((scl) => scl > kept),
      )
    );
  }

  #recovery({ volumeEpoch, statuses, ranges }: Opening, answers: Answers): Recovery {
    const formulas = this.#memberships.formulas(statuses);
    const recovery = new Recovery({
      volumeEpoch: asEpoch(volumeEpoch),
      allocationLimit: this.#allocationLimit,
      ranges,
      groups: [{ pg: PG, formulas }],
    });
    const told = answers.flatMap((answer, node): [string, SegmentAnswer][] =>
      answer === NO_ANSWER
        ? []
        : [[this.#memberships.nameOf(node), this.#segments.answer(answer, volumeEpoch)]],
    );
    for (const [member, answer] of this.#rules.trusted(new Map(told))) recovery.answered(PG, member, answer);
    return recovery;
  }

  #clippedRecovery(opening: Opening, answers: Answers, clipped: readonly number[]): Recovery {
    const recovery = this.#recovery(opening, answers);
    const { ranges, vdl } = must(recovery.decision());
    for (const [node, scl] of clipped.entries()) {
      if (scl === 0) continue;
      recovery.answered(PG, this.#memberships.nameOf(node), {
        volumeEpoch: opening.volumeEpoch as Epoch,
        scl: asLsn(scl - 1),
        vdl: asLsn(Math.min(scl - 1, vdl)),
        ranges,
        tail: [],
        damaged: false,
      });
    }
    return recovery;
  }

  /**
   * After its decision a recovery asks only for the decision, the holders and what members say from then on. So answers
   * that give the same decision and the same holders are one: the holders as the best of them, the others as if empty.
   */
  #leastAnswers(opening: Opening, answers: Answers, decision: RecoveryDecision): Answers {
    const holders = must(decision.groups.get(PG)).holders.map((member) => this.#memberships.indexOf(member));
    const best = must(answers[must(holders[0])]);
    const nothing = this.#segments.internAnswer({
      scl: asLsn(0),
      vdl: asLsn(0),
      ranges: [],
      tail: [],
      damaged: false,
    });
    const members = new Set(this.#memberships.nodesOf(opening.statuses));
    const known = this.#known(answers);
    const reduce = (counts: (node: number) => boolean) =>
      answers.map((_, node) => (counts(node) ? (holders.includes(node) ? best : nothing) : NO_ANSWER));
    // With nothing kept, even a member that did not answer would be a holder: then only those that did may count.
    for (const least of [
      reduce((node) => members.has(node)),
      reduce((node) => (known & (1 << node)) !== 0),
    ]) {
      const again = this.#recovery(opening, least).decision();
      if (again && this.#decisionKey(again) === this.#decisionKey(decision)) return least;
    }
    return answers;
  }

  #decisionKey({ vdl, vcl, nextLsn, ranges, groups }: RecoveryDecision): string {
    const { holders, lastKept } = must(groups.get(PG));
    const nodes = holders.map((member) => this.#memberships.indexOf(member)).sort((a, b) => a - b);
    return JSON.stringify([vdl, vcl, nextLsn, ranges, nodes, lastKept]);
  }
}

const rangeKeys = new WeakMap<readonly TruncationRange[], string>();

function keyOf({ volumeEpoch, statuses, ranges }: Opening, answers: Answers): string {
  let known = rangeKeys.get(ranges);
  if (known === undefined) {
    known = JSON.stringify(ranges);
    rangeKeys.set(ranges, known);
  }
  return `${volumeEpoch}|${statuses.join()}|${known}|${answers.join()}`;
}
