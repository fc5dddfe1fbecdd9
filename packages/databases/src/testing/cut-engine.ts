/** What the tests with cut points need of an engine: to run on the pages of a store, and sessions on it. */
import type { MemoryPageStore } from '@rokka/volume';

export type Row = Readonly<Record<string, unknown>>;

export interface Session {
  /** Statements without parameters, one transaction unless they say otherwise. The rows of the last one. */
  run(sql: string): Promise<readonly Row[]>;
}

export interface OpenDatabase {
  readonly sessions: readonly Session[];
  /** Lets go of it, by whatever way is shortest. What it writes meanwhile is of no interest: take the history before. */
  end(): Promise<void>;
}

export interface CutEngine {
  readonly sessionCount: number;
  /** Makes the database where there is none; else recovers what is there. Rejects where that fails. */
  open(store: MemoryPageStore): Promise<OpenDatabase>;
}
