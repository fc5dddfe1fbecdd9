/**
 * Which applications a restore has stopped, or was about to, on the disk before the first of them is told: whoever comes after a process that was
 * killed finds there what has to be started. It is deleted when all of them run.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { removeDurably, writeDurably } from '@rokka/kernel';
import { snapshotErrors } from '../errors.ts';
import type { ApplicationNote } from './application.ts';

export interface Stopped {
  /** The command that had them stopped. */
  readonly command: string;
  readonly mountPoints: readonly string[];
  /** What belongs together: nobody is started where some of one and some of another are mounted. */
  readonly places: readonly Places[];
  readonly applications: readonly ApplicationNote[];
  /** Servers that answered before, which must answer again. */
  readonly answered: readonly AnsweredServer[];
}

/** By their ids: one of the two has to be mounted whole. */
export interface Places {
  readonly mountPoints: readonly string[];
  /** The volumes that were there. */
  readonly before: readonly string[];
  /** Those that come in their places. */
  readonly after: readonly string[];
}

export interface AnsweredServer {
  /** The name of its kind of writer. */
  readonly kind: string;
  /** The first path that its writer tells of it. */
  readonly directory: string;
}

export interface StoppedNotes {
  /** For messages. */
  readonly where: string;
  write(stopped: Stopped): void;
  /** @throws SNAPSHOTS_STOPPED_GARBAGE */
  read(): Stopped | undefined;
  remove(): void;
}

export class StoppedFile implements StoppedNotes {
  readonly #file: string;

  constructor(stateDirectory: string) {
    this.#file = path.join(stateDirectory, 'stopped-applications.json');
  }

  get where(): string {
    return this.#file;
  }

  write(stopped: Stopped): void {
    fs.mkdirSync(path.dirname(this.#file), { recursive: true, mode: 0o700 });
    writeDurably(this.#file, JSON.stringify(stopped));
  }

  read(): Stopped | undefined {
    if (!fs.existsSync(this.#file)) return undefined;
    try {
      const stopped = JSON.parse(fs.readFileSync(this.#file, 'utf8')) as Stopped;
      const { mountPoints, places, applications, answered } = stopped;
      const lists = [mountPoints, places, applications, answered];
      if (typeof stopped.command === 'string' && lists.every((list) => Array.isArray(list))) return stopped;
    } catch (cause) {
      throw snapshotErrors.SNAPSHOTS_STOPPED_GARBAGE([this.#file], { cause });
    }
    throw snapshotErrors.SNAPSHOTS_STOPPED_GARBAGE([this.#file]);
  }

  remove(): void {
    removeDurably(this.#file);
  }
}
