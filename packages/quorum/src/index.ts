/** The protocol, pure: no clock, socket, disk or random number in this package. */
export * from './errors.ts';
export * from './expression.ts';
export * from './formulas.ts';
export * from './healing.ts';
export * from './lsn-allocator.ts';
export * from './membership.ts';
export * from './progress-tracker.ts';
export * from './read-routing.ts';
export * from './record.ts';
export * from './recovery.ts';
export type { DecidedGroup, RecoveryDecision, SegmentAnswer, TailRecord } from './recovery-decision.ts';
export * from './segment-chain.ts';
export * from './truncation.ts';
