/**
 * What of a data directory is the state of its cluster: all that makes this cluster this one, and that no volume has. A copy of it is what a
 * snapshot of the boot volume holds (processes/state-copy.ts). What is not left out here is in it, so that nothing is forgotten that comes later.
 */

/** At the top of the directory. */
const LEFT_OUT: ReadonlyMap<string, string> = new Map([
  ['nodes', 'six copies of the volumes, of which snapshots are made one by one'],
  ['archive', 'the history of the volumes, in which the snapshots themselves are'],
  ['run', 'sockets, and what counts only while something runs'],
  ['compile-cache', 'is made anew by itself'],
  ['lock.sqlite', 'says which process has the directory: a copy has none'],
  ['rokka.log', 'tells people what was, and decides nothing'],
]);

/** What SQLite keeps beside a database: the copy of the database has it in itself. */
const BESIDE_SQLITE = /\.sqlite-(wal|shm|journal)$/;

/** @param depth 0 at the top of the data directory */
export const isState = (name: string, depth: number): boolean =>
  depth > 0 || !(LEFT_OUT.has(name) || BESIDE_SQLITE.test(name));

/** Databases, which others write to while they are copied: the registry, and the trail of calls. */
export const isSqlite = (name: string, depth: number): boolean => depth === 0 && name.endsWith('.sqlite');
