/** A database that a record wishes for is made, or given up where it never can be. */
import type { Snapshots } from '@rokka/databases';
import { isCoded } from '@rokka/kernel';

/** What makes a database impossible, now and later. */
const FINAL = [
  'DATABASE_PORT_TAKEN',
  'DATABASE_PORTS_EXHAUSTED',
  'DATABASE_NAME_INVALID',
  'DATABASE_NO_SNAPSHOT',
];

/** Nothing can be kept of what is gone, or of what has no archive, now and later. */
const UNKEPT = ['DATABASE_NONE', 'DATABASE_NO_SNAPSHOT', 'DATABASE_NO_ARCHIVE', 'DATABASE_NO_BUCKET'];

/** Whether a snapshot cannot be made. */
export const isUnkept = (error: unknown) => isCoded(error) && UNKEPT.includes(error.code);

/**
 * Whether somebody has kept it. Asked after what it is of was missed: that may have gone because others had kept it before, and whoever
 * missed it then has not seen that yet.
 */
export async function isKept(
  { snapshots }: { readonly snapshots: Snapshots },
  name: string,
): Promise<boolean> {
  try {
    await snapshots.get(name);
    return true;
  } catch (error) {
    if (isCoded(error, 'DATABASE_NO_SNAPSHOT')) return false;
    throw error;
  }
}

/** Whether a database cannot be made as it was asked for, so that what wishes for it is not made either. */
export const isHopeless = (error: unknown) => isCoded(error) && FINAL.includes(error.code);

/** @throws DATABASE_NO_SNAPSHOT where nobody keeps what it would begin with */
export async function demandSource(
  { snapshots }: { readonly snapshots: Snapshots },
  wish: { readonly kept?: string } | undefined,
): Promise<void> {
  if (wish?.kept !== undefined) await snapshots.get(wish.kept);
}

/** @param giveUp answers false where somebody else could finish it after all */
export async function unlessHopeless(
  work: () => Promise<void>,
  giveUp: (error: Error) => Promise<boolean>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    // Somebody else has made it meanwhile.
    if (isCoded(error, 'DATABASE_EXISTS')) return;
    if (!isHopeless(error)) throw error;
    if (await giveUp(error as Error)) throw error;
  }
}
