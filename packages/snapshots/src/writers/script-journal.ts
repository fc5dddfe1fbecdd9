/**
 * Which scripts an attempt has begun to run, on the disk before the first of them runs: whoever comes after a process that was
 * killed finds there what has to be undone. It is deleted when the post scripts have run; a power cut or a kill in between makes
 * them run once more.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { removeDurably, writeDurably } from '@rokka/kernel';
import { snapshotErrors } from '../errors.ts';

export interface Attempt {
  /** Stands in the environment of all that its scripts start. */
  readonly id: string;
  readonly post: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export class ScriptJournal {
  readonly file: string;

  constructor(stateDirectory: string) {
    this.file = path.join(stateDirectory, 'snapshot-scripts.json');
  }

  write(attempt: Attempt): void {
    fs.mkdirSync(path.dirname(this.file), { recursive: true, mode: 0o700 });
    writeDurably(this.file, JSON.stringify(attempt));
  }

  /** The attempt that was cut short. @throws SNAPSHOTS_JOURNAL_GARBAGE */
  read(): Attempt | undefined {
    if (!fs.existsSync(this.file)) return undefined;
    try {
      const attempt = JSON.parse(fs.readFileSync(this.file, 'utf8')) as Attempt;
      if (typeof attempt.id === 'string' && Array.isArray(attempt.post)) return attempt;
    } catch (cause) {
      throw snapshotErrors.SNAPSHOTS_JOURNAL_GARBAGE([this.file], { cause });
    }
    throw snapshotErrors.SNAPSHOTS_JOURNAL_GARBAGE([this.file]);
  }

  remove(): void {
    removeDurably(this.file);
  }
}
