/**
 * The interface between a restore and the programs that use the volumes which it takes away: they are stopped before, and started afterwards as
 * they were. Whoever restores gives no scripts for what a kind knows.
 *
 * A kind is plugged in beside the kinds of writers: `find` looks at what runs, and answers with an application for each that it can stop AND start
 * again. What it cannot start again as it was is not its own: then nothing is stopped at all, and the program is named.
 *
 * All that `start` needs is in the note, which is on the disk before `stop` is called: a process that is killed in between is followed by one that has
 * only the note.
 */
import type { MountedVolume } from '../writer.ts';

/** JSON. */
export interface ApplicationNote {
  /** Of the kind that can read it. */
  readonly kind: string;
  /** Unique among all; the kind's name first: `postgresql:/srv/pg`. */
  readonly id: string;
  /** For people, such as `PostgreSQL at /srv/pg`. */
  readonly name: string;
  readonly details: unknown;
}

export interface Application {
  readonly note: ApplicationNote;
  /** Files and directories that it speaks for: whoever has those open goes with `stop`. */
  readonly paths?: readonly string[];
  /** Whether the process is one of its own, so that what it has open goes with `stop`. */
  owns(pid: number): Promise<boolean>;
  /** Resolves when nothing of it runs any more. It is not asked twice. @throws where it refuses, or somebody keeps it from it; the signal's reason */
  stop(signal: AbortSignal): Promise<void>;
  /**
   * Resolves when it was started, or runs already; whether it serves is asked of its writer. One that was told to stop and has not ended
   * yet is waited for, for a while. @throws what keeps it from running; the signal's reason
   */
  start(signal: AbortSignal): Promise<void>;
  /** After a start: whether that which was to be stopped runs still. It may end yet, unless it serves. */
  lingers?(): Promise<boolean>;
  /** After a start: why it does not run, where it does not. */
  whyDown(): Promise<string | undefined>;
  /** It was started on volumes that are thrown away: it goes, in good order or not. It may be down already. */
  end(signal: AbortSignal): Promise<void>;
}

/** A program with something on the volumes that nobody can stop and start. */
export interface Immovable {
  readonly pid: number;
  /** Such as `it runs as root`. */
  readonly why: string;
}

export interface FoundApplications {
  readonly applications: readonly Application[];
  readonly immovable: readonly Immovable[];
}

export interface FindOptions {
  readonly volumes: readonly MountedVolume[];
  /** Processes with files open for writing there. */
  readonly writing: readonly number[];
  readonly signal: AbortSignal;
}

export interface ApplicationKind {
  readonly name: string;
  find(options: FindOptions): Promise<FoundApplications>;
  /** The application of a note of this kind. */
  from(note: ApplicationNote): Application;
}
