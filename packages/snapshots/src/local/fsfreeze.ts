/**
 * FIFREEZE and FITHAW (ioctl_fs(2)) by the program `fsfreeze` of util-linux, on a directory that is held open: whatever is mounted, moved or
 * unmounted meanwhile, what is thawed is what was frozen.
 *
 * Its words tell one errno from the other: EBUSY of a freeze means that somebody else has frozen it, EINVAL of a thaw that nobody has.
 */
import { spawn } from 'node:child_process';
import { Deferred } from '@rokka/kernel';
import { Tail } from '../writers/program.ts';
import type { Freezable, FreezeEnd, ThawEnd } from './dead-man.ts';

export interface FsfreezeOptions {
  /** The mount point, for people. */
  readonly name: string;
  /** Of a directory of the file system. */
  readonly descriptor: number;
  /** The program's path. */
  readonly program: string;
  /** Stands in the environment of what is run: whoever comes after this process finds by it what is still under way. */
  readonly mark: string;
  /**
   * A descriptor of this process that a freeze keeps open until it has ended, so that the other end of it sees when none is under way any more,
   * whoever began it.
   */
  readonly kept?: number;
}

export const FREEZE_MARK = 'ROKKA_FREEZE';
const WORDS_BYTES_MAX = 1_024;
/** Where the child has the directory. */
const DIRECTORY = '/proc/self/fd/3';

export function fsfreeze({ name, descriptor, program, mark, kept }: FsfreezeOptions): Freezable {
  const run = (flag: string, stdout: number | 'ignore') =>
    ended(program, [flag, DIRECTORY], { descriptor, stdout, mark });
  return {
    name,
    async freeze(): Promise<FreezeEnd> {
      const words = await run('-f', kept ?? 'ignore');
      if (words === undefined) return 'frozen';
      return words.includes('Device or resource busy') ? 'foreign' : { failed: words };
    },
    async thaw(): Promise<ThawEnd> {
      const words = await run('-u', 'ignore');
      if (words === undefined) return 'thawed';
      return words.includes('Invalid argument') ? 'loose' : { failed: words };
    },
  };
}

/** Undefined where it ended well; otherwise its words, or how it ended. No signal ends it: neither call can be taken back. */
async function ended(
  program: string,
  args: readonly string[],
  of: { descriptor: number; stdout: number | 'ignore'; mark: string },
): Promise<string | undefined> {
  const { descriptor, stdout, mark } = of;
  const words = new Tail(WORDS_BYTES_MAX);
  const done = new Deferred<string | undefined>();
  // A group of its own: who kills that of this process leaves it.
  const child = spawn(program, [...args], {
    stdio: ['ignore', stdout, 'pipe', descriptor],
    env: { LC_ALL: 'C', [FREEZE_MARK]: mark },
    cwd: '/',
    detached: true,
  });
  child.stderr?.on('data', (chunk: Buffer) => words.push(chunk));
  child.on('error', (error) => done.resolve(error.message));
  child.on('close', (status, by) =>
    done.resolve(status === 0 ? undefined : words.text() || `it ended with ${by ?? status}`),
  );
  return done.promise;
}
