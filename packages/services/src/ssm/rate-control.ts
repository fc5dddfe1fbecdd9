/**
 * How many machines may carry out a command at once, and how many of them may fail. Pure.
 * https://docs.aws.amazon.com/systems-manager/latest/userguide/send-commands-multiple.html
 */

const RATE = /^([0-9]%|[1-9][0-9]%|100%|0|[1-9][0-9]{0,6})$/;

/** `10` or `10%`, with which MaxErrors and MaxConcurrency are given. */
export const isRate = (text: string) => RATE.test(text);

/** 10 % of 50 are 5 that may fail: it stops at the sixth. Of a part of one, none. */
export const errorsMax = (rate: string, targets: number) => Math.floor(countOf(rate, targets));

/** One at least. */
export const concurrencyMax = (rate: string, targets: number) =>
  Math.max(1, Math.ceil(countOf(rate, targets)));

function countOf(rate: string, targets: number): number {
  return rate.endsWith('%') ? (targets * Number(rate.slice(0, -1))) / 100 : Number(rate);
}

/**
 * How many may run at once now: 1 at first, and one more for each that has ended, so that each round has twice as many as the one
 * before.
 */
const concurrencyNow = (of: { ended: number; concurrencyMax: number }) =>
  Math.min(of.concurrencyMax, 1 + of.ended);

/** How often machines begin together until all have, where all that begin together end so, too. */
export function roundsOf({
  targets,
  concurrencyMax: most,
}: {
  targets: number;
  concurrencyMax: number;
}): number {
  let rounds = 0;
  for (let ended = 0; ended < targets; rounds++) ended += concurrencyNow({ ended, concurrencyMax: most });
  return rounds;
}

/** Whether one more may begin. Those that nobody picks up stand in nobody's way. */
export function mayBegin(of: {
  /** Have begun and not ended. */
  running: number;
  /** Have begun and ended. */
  ended: number;
  errors: number;
  errorsMax: number;
  concurrencyMax: number;
}): boolean {
  return of.errors <= of.errorsMax && of.running < concurrencyNow(of);
}
