/**
 * The interface between whoever makes a snapshot and the applications that are in it, as the Volume Shadow Copy Service has it
 * (learn.microsoft.com/windows/win32/vss, "Overview of Processing a Backup Under VSS"): writers are brought to a safe point and hold
 * what they do, a provider copies, and all go on.
 *
 * A writer is plugged in by its kind: `discover` looks at what is mounted and answers with a writer for each application that
 * it finds. Steps are called one after the other, each with a signal that aborts at its deadline. A step that throws is a veto.
 */

/** What can be said of a snapshot: a machine that lost power; clean files; an application that has nothing to recover. */
export const LEVELS = ['crash', 'filesystem', 'application'] as const;
export type Level = (typeof LEVELS)[number];

/** What one writer has on the volumes. */
export interface Component {
  /** For people, such as `PostgreSQL 18 at /run/rokka/…/pgdata`. */
  readonly name: string;
  /** Directories or files that belong to it. All of them must be on volumes that are in the snapshot. */
  readonly paths: readonly string[];
}

/** Where an application stood while it was held. */
export interface Frozen {
  /** The transaction position: an LSN, a GTID, a replication offset; absent where there is none. */
  readonly position?: string;
  /** What the writer has reached for its components. */
  readonly level: Level;
  /** Of a level below `application`, where the writer can tell: which part it is, and the way out. */
  readonly why?: string;
}

/** One application. Whoever has it disposes of it, whatever happened: then nothing is held by it any more. */
export interface Writer extends AsyncDisposable {
  /** Unique among the writers of one snapshot; the kind's name first, as in `postgresql:5432`. */
  readonly id: string;
  /** None where it speaks for no application. @throws a coded error where it cannot tell what it has */
  identify(signal: AbortSignal): Promise<readonly Component[]>;
  /** Long work that makes the freeze short, such as a checkpoint. Nothing is held yet. @throws a veto */
  prepare(signal: AbortSignal): Promise<void>;
  /** Holds: what is on the disk from its resolving until `thaw` is a state that the application starts from. @throws a veto */
  freeze(signal: AbortSignal): Promise<Frozen>;
  /** Goes on. @throws where it was not held all the time since `freeze`: then the snapshot does not count as its own */
  thaw(signal: AbortSignal): Promise<void>;
  /** Lets go of everything, also where a freeze may have happened or not. Never after a `thaw` that resolved. */
  abort(signal: AbortSignal): Promise<void>;
  /** After the snapshot is there, or is not: what a backup leaves behind is tidied up. */
  finish(outcome: { readonly succeeded: boolean }, signal: AbortSignal): Promise<void>;
}

/** A directory that is the root of a mounted volume. */
export interface MountedVolume {
  /** `vol-…`, or the device. */
  readonly volume: string;
  readonly mountPoint: string;
}

export interface DiscoverOptions {
  readonly volumes: readonly MountedVolume[];
  readonly signal: AbortSignal;
}

/** What is plugged in. */
export interface WriterKind {
  /** `postgresql`, `mariadb`, `redis`, `sqlite`, `files`, `script`. */
  readonly name: string;
  /** The applications of this kind that have something on the volumes. @throws a coded error where it cannot look */
  discover(options: DiscoverOptions): Promise<readonly Writer[]>;
}
