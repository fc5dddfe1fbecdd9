/**
 * The course of one snapshot, pure: what writers and the provider answered goes in, whom to ask what until when comes out.
 *
 *     identify → prepare → freeze → hold → snapshot → release → thaw → finish
 *                                └──────── a veto, a time-out ────────→ release → abort → finish
 *
 * - Every question gets one answer, a failure where its time is over: the driver (coordinator.ts) sees to that. So this machine
 *   never waits, and every course ends.
 * - Whoever was asked to prepare is asked to thaw, or to abort, whatever happened, and to finish at last.
 * - A veto before the snapshot means that there is none. From then on nothing takes the snapshots back: what is amiss is a doubt, and with
 *   a doubt they show a machine that lost power, no more.
 *
 * The states of a writer are those of VSS (`VSS_WRITER_STATE` in vswriter.h).
 */
import { assert, must, unreachable } from '@rokka/kernel';
import type { SnapshotSetResult } from './provider.ts';
import type { Component, Frozen } from './writer.ts';

export const PROVIDER = 'provider';
const REQUESTER = 'requester';

export type Step =
  | 'identify'
  | 'prepare'
  | 'freeze'
  | 'hold'
  | 'snapshot'
  | 'release'
  | 'thaw'
  | 'abort'
  | 'finish';

export type WriterState =
  | 'STABLE'
  | 'WAITING_FOR_FREEZE'
  | 'WAITING_FOR_THAW'
  | 'WAITING_FOR_POST_SNAPSHOT'
  | 'FAILED_AT_IDENTIFY'
  | 'FAILED_AT_PREPARE_SNAPSHOT'
  | 'FAILED_AT_FREEZE'
  | 'FAILED_AT_THAW'
  | 'FAILED_AT_POST_SNAPSHOT';

export interface Limits {
  readonly identifyMs: number;
  readonly prepareMs: number;
  /** From the first freeze to the last thaw. */
  readonly freezeMs: number;
  /** From the hold to the release, where the provider holds at all. */
  readonly holdMs: number;
  /** For each of thaw and abort. */
  readonly thawMs: number;
  readonly finishMs: number;
}

export interface Plan {
  /** Writers by their ids. One tier freezes after the other, and they thaw in reverse: who uses another application stands before it. */
  readonly tiers: readonly (readonly string[])[];
  /** Whether the provider holds writes between `hold` and `release`. */
  readonly holds: boolean;
  readonly limits: Limits;
}

export interface WriterFacts {
  readonly id: string;
  readonly state: WriterState;
  /** Of its failure. */
  readonly why?: string;
  readonly components: readonly Component[];
  readonly frozen?: Frozen;
  /** It may hold something: it was asked to prepare, and has neither thawed nor aborted. */
  readonly mayHold: boolean;
  /** It was asked to prepare, and is to be asked to finish. */
  readonly isBegun: boolean;
}

export interface Coordination {
  readonly plan: Plan;
  readonly step: Step | 'done';
  /** Of a freeze or a thaw. */
  readonly tier: number;
  readonly asked: readonly string[];
  readonly writers: readonly WriterFacts[];
  readonly mayHold: boolean;
  readonly frozenAtMs?: number;
  readonly heldAtMs?: number;
  /** From the first freeze to the last thaw. */
  readonly frozenForMs?: number;
  readonly set?: SnapshotSetResult;
  /** The first veto: there is no snapshot, or nothing is known of one. */
  readonly veto?: { readonly who: string; readonly step: Step; readonly why: string };
  readonly doubts: readonly string[];
}

export interface Ask {
  readonly who: string;
  readonly step: Step;
  readonly untilMs: number;
}

/** What steps give. */
export interface Results {
  readonly components?: readonly Component[];
  readonly frozen?: Frozen;
  readonly set?: SnapshotSetResult;
}

export interface Answer extends Results {
  readonly who: string;
  readonly step: Step;
  /** Of a failure. Results that came with it came too late to count, and are there all the same. */
  readonly why?: string;
}

export interface Turn {
  readonly now: Coordination;
  readonly asks: readonly Ask[];
  /** Who was asked and is not waited for: nothing can come of it any more. Each of them answers all the same. */
  readonly cancel: readonly string[];
}

const WELL: Partial<Record<Step, WriterState>> = {
  prepare: 'WAITING_FOR_FREEZE',
  freeze: 'WAITING_FOR_THAW',
  thaw: 'WAITING_FOR_POST_SNAPSHOT',
  finish: 'STABLE',
};
const ILL: Partial<Record<Step, WriterState>> = {
  identify: 'FAILED_AT_IDENTIFY',
  prepare: 'FAILED_AT_PREPARE_SNAPSHOT',
  freeze: 'FAILED_AT_FREEZE',
  thaw: 'FAILED_AT_THAW',
  finish: 'FAILED_AT_POST_SNAPSHOT',
};
/** Before these are over a failure is a veto. */
const BEFORE_SET = ['identify', 'prepare', 'freeze', 'hold', 'snapshot'] as const;

export function beginCoordination(plan: Plan, nowMs: number): Turn {
  const ids = plan.tiers.flat();
  assert(new Set([...ids, PROVIDER]).size === ids.length + 1, 'writers have ids of their own');
  const writers = ids.map((id) => ({
    id,
    state: 'STABLE' as const,
    components: [],
    mayHold: false,
    isBegun: false,
  }));
  const now: Coordination = {
    plan,
    step: 'identify',
    tier: 0,
    asked: [],
    writers,
    mayHold: false,
    doubts: [],
  };
  return askRound(now, ids, nowMs);
}

export function onAnswer(before: Coordination, answer: Answer, nowMs: number): Turn {
  assert(before.asked.includes(answer.who) && answer.step === before.step, 'only who was asked answers');
  const noted = answer.who === PROVIDER ? noteProvider(before, answer) : noteWriter(before, answer);
  const now = { ...noted, asked: before.asked.filter((who) => who !== answer.who) };
  if (now.asked.length === 0) return nextRound(now, nowMs);
  const isFirstVeto = now.veto !== undefined && before.veto === undefined;
  return { now, asks: [], cancel: isFirstVeto ? now.asked : [] };
}

/** Whoever asked for the snapshot wants it no more. Once it is there, the course goes on to its end. */
export function onStop(before: Coordination, why: string): Turn {
  const { step } = before;
  if (before.veto || !isBeforeSet(step)) return { now: before, asks: [], cancel: [] };
  const veto = { who: REQUESTER, step, why };
  return { now: { ...before, veto }, asks: [], cancel: before.asked };
}

function noteProvider(now: Coordination, answer: Answer): Coordination {
  const { step } = answer;
  const letsGo = step === 'release' ? { mayHold: false } : {};
  const amiss = (answer.set?.amiss ?? []).map((why) => `${answer.who} at ${step}: ${why}`);
  const doubts = [...now.doubts, ...amiss];
  const next = { ...now, ...letsGo, doubts, ...(answer.set && { set: answer.set }) };
  return answer.why === undefined ? next : failed(next, answer.who, step, answer.why);
}

function noteWriter(now: Coordination, answer: Answer): Coordination {
  const { step, who, why } = answer;
  const isWell = why === undefined;
  const before = must(now.writers.find(({ id }) => id === who));
  const goes = step === 'abort' || (step === 'thaw' && isWell);
  const state = isWell ? WELL[step] : ILL[step];
  const after: WriterFacts = {
    ...before,
    ...(goes && { mayHold: false }),
    // What it failed at first is what people want to know.
    ...(state && !isFailed(before) && { state }),
    ...(answer.components && { components: answer.components }),
    ...(answer.frozen && { frozen: answer.frozen }),
    ...(!isWell && before.why === undefined && { why }),
  };
  const writers = now.writers.map((writer) => (writer.id === who ? after : writer));
  return isWell ? { ...now, writers } : failed({ ...now, writers }, who, step, why);
}

function failed(now: Coordination, who: string, step: Step, why: string): Coordination {
  if (now.veto) return now;
  if (isBeforeSet(step)) return { ...now, veto: { who, step, why } };
  // What a backup leaves behind says nothing of the snapshots.
  if (step === 'finish') return now;
  return { ...now, doubts: [...now.doubts, `${who} at ${step}: ${why}`] };
}

function nextRound(now: Coordination, nowMs: number): Turn {
  const { step, tier, veto, plan } = now;
  const all = now.writers.map(({ id }) => id);
  if (veto && isBeforeSet(step)) return toRelease(now, nowMs);
  switch (step) {
    case 'identify':
      return toRound(now, 'prepare', all, nowMs);
    case 'prepare':
      return toTier({ ...now, frozenAtMs: nowMs }, 'freeze', 0, nowMs);
    case 'freeze':
      if (tier + 1 < plan.tiers.length) return toTier(now, 'freeze', tier + 1, nowMs);
      return toRound({ ...now, mayHold: true, heldAtMs: nowMs }, 'hold', [PROVIDER], nowMs);
    case 'hold':
      return toRound(now, 'snapshot', [PROVIDER], nowMs);
    case 'snapshot':
      return toRelease(now, nowMs);
    case 'release':
      if (veto) return toAbort(now, nowMs);
      return toTier(now, 'thaw', plan.tiers.length - 1, nowMs);
    case 'thaw':
      return tier > 0 ? toTier(now, 'thaw', tier - 1, nowMs) : toAbort(now, nowMs);
    case 'abort':
      return toRound(timed(now, nowMs), 'finish', begun(now), nowMs);
    case 'finish':
    case 'done':
      return { now: { ...now, step: 'done' }, asks: [], cancel: [] };
    default:
      return unreachable(step);
  }
}

/** The provider lets go first: it holds everybody. */
function toRelease(now: Coordination, nowMs: number): Turn {
  return now.mayHold ? toRound(now, 'release', [PROVIDER], nowMs) : toAbort(now, nowMs);
}

/** Those that have thawed hold nothing. */
function toAbort(now: Coordination, nowMs: number): Turn {
  const holding = now.writers.filter(({ mayHold }) => mayHold).map(({ id }) => id);
  return toRound(now, 'abort', holding, nowMs);
}

function toTier(now: Coordination, step: Step, tier: number, nowMs: number): Turn {
  return toRound({ ...now, tier }, step, now.plan.tiers[tier] ?? [], nowMs);
}

function toRound(before: Coordination, step: Step, who: readonly string[], nowMs: number): Turn {
  const begins = step === 'prepare';
  const writers = before.writers.map((writer) =>
    begins ? { ...writer, mayHold: true, isBegun: true } : writer,
  );
  return askRound({ ...before, step, writers }, who, nowMs);
}

function askRound(before: Coordination, who: readonly string[], nowMs: number): Turn {
  const now = { ...before, asked: who };
  const { step } = now;
  if (who.length === 0 || step === 'done') return nextRound(now, nowMs);
  return { now, asks: who.map((one) => ({ who: one, step, untilMs: until(now, step, nowMs) })), cancel: [] };
}

function until(
  { plan: { limits, holds }, frozenAtMs = 0, heldAtMs = 0 }: Coordination,
  step: Step,
  nowMs: number,
) {
  const thawBy = frozenAtMs + limits.freezeMs;
  switch (step) {
    case 'identify':
      return nowMs + limits.identifyMs;
    case 'prepare':
      return nowMs + limits.prepareMs;
    case 'freeze':
      return thawBy;
    case 'hold':
    case 'snapshot':
      return holds ? Math.min(thawBy, heldAtMs + limits.holdMs) : thawBy;
    // What lets go is always given its time.
    case 'release':
    case 'thaw':
    case 'abort':
      return nowMs + limits.thawMs;
    case 'finish':
      return nowMs + limits.finishMs;
    default:
      return unreachable(step);
  }
}

/** A freeze that was too long is a doubt: a writer may have let go by itself. */
function timed(now: Coordination, nowMs: number): Coordination {
  const { frozenAtMs, plan } = now;
  if (frozenAtMs === undefined) return now;
  const frozenForMs = nowMs - frozenAtMs;
  const isLate = !now.veto && frozenForMs > plan.limits.freezeMs;
  const doubts = isLate ? [...now.doubts, `frozen for ${Math.round(frozenForMs)} ms`] : now.doubts;
  return { ...now, frozenForMs, doubts };
}

const begun = ({ writers }: Coordination) => writers.filter(({ isBegun }) => isBegun).map(({ id }) => id);
const isBeforeSet = (step: string): step is (typeof BEFORE_SET)[number] =>
  (BEFORE_SET as readonly string[]).includes(step);
const isFailed = ({ state }: WriterFacts) => state.startsWith('FAILED');
