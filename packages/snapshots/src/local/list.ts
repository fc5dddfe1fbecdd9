/**
 * Which local file systems take part in snapshots: the word of the machine's owner, in a plain file that is read at each snapshot.
 *
 *     # one mount point a line
 *     keep 14
 *     /srv/ledger
 *     /srv/journal
 *
 * Whoever may write it may have file systems of the machine frozen and copied, so it belongs to root and nobody else may write it.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { snapshotErrors } from '../errors.ts';

export interface LocalList {
  /** In the order of the file, each once. */
  readonly mountPoints: readonly string[];
  /** So many sets are kept at most. */
  readonly keep: number;
}

const KEEP_UNLESS_SAID = 7;
const KEEP_MAX = 1_000;
const MOUNT_POINTS_MAX = 64;
const BYTES_MAX = 65_536;

/** Nobody takes part where there is no file. @throws SNAPSHOTS_LOCAL_LIST */
export function readLocalList(file: string): LocalList {
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = fs.constants;
  let descriptor: number;
  try {
    descriptor = fs.openSync(file, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { mountPoints: [], keep: KEEP_UNLESS_SAID };
    throw snapshotErrors.SNAPSHOTS_LOCAL_LIST([file, message], { cause });
  }
  try {
    requireRoots(file, fs.fstatSync(descriptor));
    const { text, problem } = parsed(fs.readFileSync(descriptor, 'utf8'));
    if (problem !== undefined) throw snapshotErrors.SNAPSHOTS_LOCAL_LIST([file, problem]);
    return text;
  } finally {
    fs.closeSync(descriptor);
  }
}

function requireRoots(file: string, status: fs.Stats): void {
  const refuse = (why: string) => snapshotErrors.SNAPSHOTS_LOCAL_LIST([file, why]);
  if (!status.isFile()) throw refuse('it is no plain file');
  if (status.uid !== 0) throw refuse(`it belongs to user ${status.uid}: chown it to root`);
  if ((status.mode & 0o022) !== 0) throw refuse('others may write it: chmod go-w');
  if (status.size > BYTES_MAX) throw refuse(`it has more than ${BYTES_MAX} bytes`);
}

/** Pure. `problem` where a line says nothing that is known. */
export function parsed(content: string): { text: LocalList; problem?: string } {
  const mountPoints = new Set<string>();
  let keep = KEEP_UNLESS_SAID;
  const problemOf = (line: string): string | undefined => {
    const kept = /^keep\s+(\d+)$/.exec(line)?.[1];
    if (kept !== undefined) {
      keep = Number(kept);
      return keep >= 1 && keep <= KEEP_MAX
        ? undefined
        : `"${line}": at least 1 set is kept, and at most ${KEEP_MAX}`;
    }
    if (!path.isAbsolute(line)) return `"${line}" is no mount point, and not "keep NUMBER"`;
    mountPoints.add(path.resolve(line));
    return mountPoints.size <= MOUNT_POINTS_MAX ? undefined : `more than ${MOUNT_POINTS_MAX} mount points`;
  };
  const lines = content.split('\n').map((line) => line.trim());
  const problems = lines.filter((line) => line !== '' && !line.startsWith('#')).map(problemOf);
  const problem = problems.find((one) => one !== undefined);
  return { text: { mountPoints: [...mountPoints], keep }, ...(problem !== undefined && { problem }) };
}
