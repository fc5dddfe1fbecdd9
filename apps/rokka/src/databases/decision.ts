/**
 * What to do next for a database, and what to say of it: from its record, its state and the process that runs for it. Pure.
 *
 * - Each answer stands alone: nothing is remembered of the way here, so a crash of whoever decides changes nothing.
 * - From everywhere a way leads to what the record wants. What fails is tried again, at once when the record changes, else
 *   after a pause; what takes too long is ended, and then has failed.
 */
import { unreachable } from '@rokka/kernel';
import type { DatabasePhase, DatabaseRecord, DatabaseState } from '@rokka/databases';
import type { FilesDetail } from '../processes/engine.ts';

/** The head process, where one is kept for the database. */
export interface ChildFacts {
  /** `starting` also while it is started again after it ended by itself. */
  readonly kind: 'starting' | 'serving' | 'ending';
  /** Of the record with which it was started. */
  readonly generation: number;
  readonly passwordVersion: number;
  /** It serves, and what it lacks it can have only when it begins anew. */
  readonly mustRestart?: boolean;
  /** Since when it is of that kind. */
  readonly sinceMs: number;
  /** Why it ended last by itself. */
  readonly why?: string | undefined;
  /** Where it serves. */
  readonly endpoint?: DatabaseState['endpoint'] | undefined;
  /** So many standbys it was told to keep, and so many of them wait. */
  readonly standbys?: { readonly kept: number; readonly waiting: number };
  /** The joined machine that it runs on; absent on the first. */
  readonly machine?: string;
  /** That one is not heard: whatever is wanted of it waits. */
  readonly isAway?: boolean;
  /** What it serves, where it has no server. */
  readonly files?: FilesDetail | undefined;
}

export interface Failure {
  readonly reason: string;
  /** Of the record that it was tried for. */
  readonly revision: number;
  readonly retryAtMs: number;
}

export interface Facts {
  readonly record: DatabaseRecord;
  readonly revision: number;
  readonly state: DatabaseState | undefined;
  readonly child: ChildFacts | undefined;
  /** The last attempt, where it failed for good. */
  readonly failure: Failure | undefined;
  /** Starts take turns. */
  readonly mayStart: boolean;
  /** The server may not know of the password that shall be. */
  readonly passwordIsNew: boolean;
  readonly nowMs: number;
  /** A snapshot waits for the end of it, which is not known. */
  readonly isAwaited?: boolean;
  /** The joined machine on which its last head has ended, as far as this controller has seen. */
  readonly endedOn?: string | undefined;
}

export type Step =
  | 'none'
  | 'start'
  | 'end'
  /** On another machine nobody here has a head of it, and there may be one. */
  | 'end-there'
  /** It runs on a machine that the volume is not placed on any more: nobody waits for it. */
  | 'abandon'
  | 'give-up'
  | 'set-password'
  | 'resize'
  | 'keep-standbys'
  | 'delete';

export interface Decision {
  readonly step: Step;
  readonly phase: DatabasePhase;
  readonly reason?: string | undefined;
}

/** A head that has not come to serve for so long hangs. Recovery of a volume gives up earlier by itself. */
export const LATE_MS = 900_000;

export function decide(facts: Facts): Decision {
  const { record, child } = facts;
  if (child?.machine !== undefined && child.machine !== record.files?.machine)
    return { step: 'abandon', phase: record.desired === 'deleted' ? 'deleting' : 'stopping' };
  switch (facts.record.desired) {
    case 'running':
      return facts.child ? keepRunning(facts, facts.child) : bringUp(facts);
    case 'stopped':
      return mayBeOpened(facts) ? openOnce(facts) : standStill(facts);
    case 'deleted':
      // Its deletion fences whatever still writes.
      if (child?.isAway) return { step: 'abandon', phase: 'deleting' };
      if (child) return { step: stepToEnd(child), phase: 'deleting' };
      return takeAway(facts);
    default:
      return unreachable(facts.record.desired);
  }
}

/** What is to be written of it; undefined where that stands there already. */
export function stateAfter(
  facts: Facts,
  { phase, reason }: Decision,
): Omit<DatabaseState, 'atMs'> | undefined {
  const { state, child } = facts;
  const serves = phase === 'available' && child?.kind === 'serving';
  const generation = serves ? child.generation : generationBefore(facts, phase);
  const isOpen = phase === 'stopped' && child?.kind === 'serving';
  const passwordVersion = passwordKnown(facts, serves || isOpen);
  const next: Omit<DatabaseState, 'atMs'> = {
    phase,
    ...(generation === undefined ? {} : { generation }),
    ...(passwordVersion === undefined ? {} : { passwordVersion }),
    ...(reason === undefined ? {} : { reason }),
    ...(serves && child.endpoint ? { endpoint: child.endpoint } : {}),
    ...(serves && child.standbys?.waiting ? { standbys: child.standbys.waiting } : {}),
    ...(serves && child.files),
  };
  const { atMs: _, ...written } = state ?? { atMs: 0 };
  return sameJson(next, written) ? undefined : next;
}

/** What stands still is behind nothing: it has the next start before it, and no restart. */
function generationBefore({ state, record }: Facts, phase: DatabasePhase): number | undefined {
  const served = state?.generation;
  return served !== undefined && phase === 'stopped' ? record.generation : served;
}

function bringUp(facts: Facts): Decision {
  const { failed, waits } = lastAttempt(facts);
  const step = facts.mayStart && !waits ? 'start' : 'none';
  return { step, phase: startPhase(facts, failed), reason: failed?.reason };
}

function keepRunning(facts: Facts, child: ChildFacts): Decision {
  const { record, nowMs } = facts;
  const { failed, waits } = lastAttempt(facts);
  const isOutdated =
    child.generation !== record.generation ||
    child.machine !== record.files?.machine ||
    child.mustRestart === true ||
    isOldPassword(facts, child);
  if (child.kind === 'ending')
    return { step: 'none', phase: 'stopping', reason: child.isAway ? child.why : undefined };
  if (child.kind === 'serving') {
    if (isOutdated) return { step: 'end', phase: 'stopping' };
    if (needsStandbys(facts)) return { step: 'keep-standbys', phase: 'available', reason: failed?.reason };
    const wanted = needsPassword(facts) ? 'set-password' : needsSize(facts) ? 'resize' : undefined;
    if (!wanted) return { step: 'none', phase: 'available' };
    return { step: waits ? 'none' : wanted, phase: 'available', reason: failed?.reason };
  }
  const phase = startPhase(facts, failed);
  const reason = child.why ?? failed?.reason;
  if (isOutdated) return { step: 'end', phase, reason };
  const isLate = nowMs - child.sinceMs > LATE_MS && child.isAway !== true;
  return { step: isLate ? 'give-up' : 'none', phase, reason };
}

function standStill({ record, state, child, endedOn }: Facts): Decision {
  if (child) {
    const reason = child.isAway ? child.why : undefined;
    return { step: stepToEnd(child), phase: 'stopping', reason };
  }
  // A head there outlives the controller that has started it.
  const { machine } = record.files ?? {};
  const mayRun = machine !== undefined && machine !== endedOn && state && state.phase !== 'stopped';
  return mayRun ? { step: 'end-there', phase: 'stopping' } : { step: 'none', phase: 'stopped' };
}

/**
 * Its last head did not end in good order, so nobody knows all of it: one that begins finds out. Not where that would mount it, or
 * would be on another machine.
 */
function mayBeOpened({ record, child, isAwaited }: Facts): boolean {
  const { mount, machine } = record.files ?? {};
  if (!isAwaited || mount !== undefined || machine !== undefined) return false;
  return !child || (child.kind !== 'ending' && child.generation === record.generation);
}

/** For whoever asks, it stands still all the while. */
function openOnce(facts: Facts): Decision {
  const { child, nowMs } = facts;
  if (!child) return { step: bringUp(facts).step, phase: 'stopped' };
  const isLate = child.kind === 'starting' && nowMs - child.sinceMs > LATE_MS;
  return { step: isLate ? 'give-up' : 'none', phase: 'stopped' };
}

function takeAway(facts: Facts): Decision {
  const { failed, waits } = lastAttempt(facts);
  return { step: waits ? 'none' : 'delete', phase: 'deleting', reason: failed?.reason };
}

/** What failed for the record as it stands now, and whether it is too early to try it again. */
function lastAttempt({ failure, revision, nowMs }: Facts): { failed: Failure | undefined; waits: boolean } {
  const failed = failure?.revision === revision ? failure : undefined;
  return { failed, waits: failed !== undefined && nowMs < failed.retryAtMs };
}

/** While it does not serve yet. */
function startPhase({ state }: Facts, failed: Failure | undefined): DatabasePhase {
  if (failed) return 'failed';
  return state?.generation === undefined ? 'creating' : 'starting';
}

const stepToEnd = ({ kind }: ChildFacts): Step => (kind === 'ending' ? 'none' : 'end');

/** PGlite is told the password when it starts, PostgreSQL keeps its own. */
function isOldPassword({ record }: Facts, child: ChildFacts): boolean {
  return record.engine === 'pglite' && child.passwordVersion !== record.passwordVersion;
}

function needsPassword({ record, state, child, passwordIsNew }: Facts): boolean {
  const known = state?.passwordVersion ?? child?.passwordVersion;
  return passwordIsNew || (record.engine === 'native' && known !== record.passwordVersion);
}

function needsSize({ record, child }: Facts): boolean {
  return record.files !== undefined && child?.files?.sizeBytes !== record.files.sizeBytes;
}

/** A head that is started is told so then. */
function needsStandbys({ record, child }: Facts): boolean {
  return (record.standbys ?? 0) !== (child?.standbys?.kept ?? 0);
}

/** A server that is just made has the password of the record that it was made for, unless `passwordIsNew`. */
function passwordKnown({ state, child, record }: Facts, serves: boolean): number | undefined {
  if (!serves || !child) return state?.passwordVersion;
  return record.engine === 'pglite'
    ? child.passwordVersion
    : (state?.passwordVersion ?? child.passwordVersion);
}

function sameJson(a: object, b: object): boolean {
  const sorted = (value: object) =>
    JSON.stringify(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
  return sorted(a) === sorted(b);
}
