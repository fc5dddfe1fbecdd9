/** Where the head covers a directory of the machine by its own tmpfs, in its private mount namespace. */
import * as fs from 'node:fs';
import { databaseErrors } from '../errors.ts';

/** Directories that every system has and few programs need. */
const BASES = ['/mnt', '/media', '/srv', '/opt', '/var/tmp'];

/**
 * The first of them below which none of `needed` lies: data disks, and checkouts, do get mounted under /mnt.
 *
 * @throws DATABASE_STAGE_FAILED
 */
export function mountBase(needed: readonly string[] = []): string {
  const real = needed.map((path) => (fs.existsSync(path) ? fs.realpathSync(path) : path));
  const free = BASES.find(
    (base) => fs.existsSync(base) && !real.some((path) => `${path}/`.startsWith(`${fs.realpathSync(base)}/`)),
  );
  if (free !== undefined) return free;
  throw databaseErrors.DATABASE_STAGE_FAILED([
    `finding a place for the private mount among ${BASES.join(', ')}`,
    `each is missing or holds files that are needed (${needed.join(', ')}): make one of them`,
  ]);
}
