/**
 * Which file systems an attempt is going to freeze, on the disk before the first of them is frozen: whoever comes after a process that was killed
 * together with its watchdog finds there what may still be frozen. It is deleted when all of them are thawed.
 *
 * It lies on no file system that may be frozen. What is frozen does not outlive the kernel, which is why its boot is named.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { removeDurably, writeDurably } from '@rokka/kernel';
import { snapshotErrors } from '../errors.ts';

export interface FreezeAttempt {
  /** Stands in the environment of all that it starts. */
  readonly mark: string;
  readonly boot: string;
  readonly mounts: readonly FrozenMount[];
}

export interface FrozenMount {
  readonly mountPoint: string;
  /** `7:3` */
  readonly device: string;
}

/** Another one each time that the kernel starts (random(4)). */
export const bootId = (): string => fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

export class FreezeJournal {
  readonly file: string;

  constructor(stateDirectory: string) {
    this.file = path.join(stateDirectory, 'frozen-filesystems.json');
  }

  write(attempt: FreezeAttempt): void {
    fs.mkdirSync(path.dirname(this.file), { recursive: true, mode: 0o700 });
    writeDurably(this.file, JSON.stringify(attempt));
  }

  /** The attempt that was cut short. @throws SNAPSHOTS_LOCAL_JOURNAL */
  read(): FreezeAttempt | undefined {
    if (!fs.existsSync(this.file)) return undefined;
    try {
      const attempt = JSON.parse(fs.readFileSync(this.file, 'utf8')) as FreezeAttempt;
      if (typeof attempt.mark === 'string' && Array.isArray(attempt.mounts)) return attempt;
    } catch (cause) {
      throw snapshotErrors.SNAPSHOTS_LOCAL_JOURNAL([this.file], { cause });
    }
    throw snapshotErrors.SNAPSHOTS_LOCAL_JOURNAL([this.file]);
  }

  remove(): void {
    removeDurably(this.file);
  }
}
