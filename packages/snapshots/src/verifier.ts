/**
 * Whoever can tell whether what a snapshot shows is whole: the proof of it. A verifier looks at volumes that were made from the
 * snapshots of one set, beside those that they show, and says of each thing that it finds whether it starts clean.
 *
 * The volumes are mounted elsewhere than those that they show: symbolic links and settings on them may still lead to those, which are in use.
 * So a verifier never writes through them, nor starts anything that would. What it writes on the volumes themselves goes with them.
 */

/** Of one thing that a verifier has found. */
export interface Verdict {
  /** For people, such as `PostgreSQL 18 at /run/rokka/…/pgdata`. */
  readonly what: string;
  readonly isClean: boolean;
  /** What was seen, or what is wrong. */
  readonly words: string;
}

export interface VerifyOptions {
  /** Roots of the volumes, all those of the set. */
  readonly mountPoints: readonly string[];
  /** By mount point: where the volume that it shows is mounted, or was. Links on the copies may lead there. */
  readonly originals?: ReadonlyMap<string, string>;
  /** Aborted when there is no more time: what was not seen until then is not clean. */
  readonly signal: AbortSignal;
}

export interface Verifier {
  /** `readable`, `postgresql`, … */
  readonly name: string;
  /** @returns nothing where there is nothing of its kind @throws a coded error where it cannot look */
  verify(options: VerifyOptions): Promise<readonly Verdict[]>;
}
