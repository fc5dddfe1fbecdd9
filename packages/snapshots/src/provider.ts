/** Whoever copies volumes. A set is of one moment, and is there whole or not at all. */
export interface SnapshotOfVolume {
  readonly volume: string;
  readonly snapshot: string;
}

export interface SnapshotSetResult {
  readonly id: string;
  readonly snapshots: readonly SnapshotOfVolume[];
  /** For so long programs on the volumes stood still, in ms; absent where it is not known. */
  readonly heldMs?: number;
  /** Sets that other providers made at the same moment. */
  readonly also?: readonly SnapshotSetResult[];
  /** Why it is worth no more than that of a machine that lost power, in words. */
  readonly amiss?: readonly string[];
}

export interface Provider extends AsyncDisposable {
  /** Whether `hold` holds. A provider whose copy is of one moment anyway needs not. */
  readonly holds: boolean;
  /** No write gets through from its resolving on; it ends by itself after `HOLD_MS_MAX`. */
  hold(signal: AbortSignal): Promise<void>;
  /** Resolves when the moment is past that the set shows, though copying may go on. @throws where there is no set, or may be none */
  snapshot(signal: AbortSignal): Promise<SnapshotSetResult>;
  /** @throws where it did not hold until now: the set counts for nothing then */
  release(signal: AbortSignal): Promise<void>;
}

/** Writes are held for so long at most, whatever happens (VSS: "cannot be changed"). */
export const HOLD_MS_MAX = 10_000;
/** Between the first freeze and the last thaw (VSS: the default of a writer's time-out). */
export const FREEZE_MS_MAX = 60_000;
