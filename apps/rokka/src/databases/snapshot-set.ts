/**
 * One moment of several volumes: all are held, then each says where it is, then all go on (processes/consistent-cut.ts has the
 * other side). While all are held, nothing that a program does on one of them can follow from an answer that it got from another
 * after that one's point.
 *
 * A hold ends by itself after ten seconds, so whoever asks may die at any moment. If one of them let go too early, or began anew,
 * no point counts.
 */
import type { SetCut } from '@rokka/databases';
import type { Clock, Lsn } from '@rokka/kernel';
import { rokkaErrors } from '../errors.ts';
import type { Head } from './database-unit.ts';

export type SetMember = { readonly name: string } & (
  | { readonly head: Pick<Head, 'ask'> }
  /** Of a volume that nobody has open: all of it, where that is known. */
  | { readonly endOf: () => Promise<Lsn | undefined> }
);

/** Less than a hold lasts. */
const HOLD_ASKED_MS = 5_000;

export interface CutSetOptions {
  readonly archiveMs: number;
  readonly clock: Clock;
  /** All go on, and the moment is past that the set will show. */
  onCut(cut: SetCut): Promise<void>;
}

export interface FinishedCut {
  /** By the members' names. */
  readonly points: Record<string, Lsn>;
  readonly cut: SetCut;
}

/**
 * The points, when they are in the archives.
 * @throws ROKKA_HOLD_OVER, ROKKA_CUT_LOST, ROKKA_CHILD_AWAY, ROKKA_CHILD_SILENT: try it again; ROKKA_SET_UNFINISHED; what the
 * archive throws
 */
export async function cutSet(
  members: readonly SetMember[],
  { archiveMs, clock, onCut }: CutSetOptions,
): Promise<FinishedCut> {
  const points = new Map<string, Lsn>();
  const open = members.flatMap((member) => ('head' in member ? [member] : []));
  const closed = members.flatMap((member) => ('endOf' in member ? [member] : []));
  const ask = (what: string, ms: number) =>
    Promise.all(open.map(({ head }) => head.ask(what, ms) as Promise<{ lsn: Lsn }>));
  for (const { name, endOf } of closed) points.set(name, demandEnd(name, await endOf()));
  const heldFromMs = clock.nowMs();
  let atMs = clock.wallMs();
  try {
    await ask('hold', HOLD_ASKED_MS);
    atMs = clock.wallMs();
    const cuts = await ask('cut', HOLD_ASKED_MS);
    for (const [at, { name }] of open.entries()) points.set(name, cuts[at].lsn);
  } catch (error) {
    // Those that are held go on at once.
    await Promise.allSettled(open.map(({ head }) => head.ask('release', HOLD_ASKED_MS)));
    throw error;
  }
  // Each says that it was held until now: so it was when the last point was taken.
  await ask('release', HOLD_ASKED_MS);
  const cut = { atMs, heldMs: Math.ceil(clock.nowMs() - heldFromMs) };
  for (const { name, endOf } of closed)
    if ((await endOf()) !== points.get(name))
      throw rokkaErrors.ROKKA_CUT_LOST([`${name} was opened meanwhile`]);
  await onCut(cut);
  await ask('archive-cut', archiveMs);
  return { points: Object.fromEntries(points), cut };
}

function demandEnd(name: string, end: Lsn | undefined): Lsn {
  if (end !== undefined) return end;
  throw rokkaErrors.ROKKA_SET_UNFINISHED([
    name,
    'its volume is closed, and did not end in good order: open it once',
  ]);
}
