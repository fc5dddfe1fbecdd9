/**
 * What a server leaves to the one after it, on the same mount, when its process is killed: the kernel keeps the requests that were not
 * answered and sends them again, and what is open, and was written to, stands in files. A request is answered in the turn in which it is
 * carried out; so only the last change can have been carried out and not answered, and writes that wait to be durable. They are known by
 * their requests, and are not carried out again (resent.ts).
 */
import type { OpenCounts } from './open-counts.ts';
import type { TouchedRows } from './touched-rows.ts';

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
  /** For the filesystem. */
  readonly touched: TouchedRows;
}
