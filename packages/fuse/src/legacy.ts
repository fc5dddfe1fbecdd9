/**
 * What a server leaves to the one after it, on the same mount, when its process is killed: the kernel keeps the requests that were not
 * answered and sends them again, and who has what open stands in a file. Only the last change of the filesystem can have been carried out
 * and not answered, because a request is answered in the turn in which it is carried out, or waits for durability alone.
 * It is known by its request, and is not carried out again.
 */
import type { OpenCounts } from './open-counts.ts';

/** Where the changes of the filesystem go, each with who has asked for it. `RamLog` of a volume is one. */
export interface ChangeLog {
  /** The request that asks for what changes next; 0n for nobody. */
  origin: bigint;
  /** Whether a server before this one has carried out what this request asks for. */
  isSettled(origin: bigint): boolean;
  /** Nobody is to go on from here. */
  end(): void;
}

export interface Legacy {
  readonly changes: ChangeLog;
  readonly opens: OpenCounts;
}
