/**
 * How far volumes are that hold a copy of the cluster's own state (`state-copies/<database>`). Whoever wants a copy raises the version in the
 * database's record (`Databases.wantStateCopy`); the controller has it made, and says so here.
 *
 * A copy is made in place. So while one is under way, and after one that was cut short, the volume holds a mixture, and nothing may be taken of it.
 */
import { isCoded } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';

export interface StateCopy {
  /** The last version that was whole; 0 before the first. */
  readonly version: number;
  /** Another one was begun, and is not whole yet. */
  readonly underWay?: number;
  /** Why that one, and all before it that were not made, will not be. */
  readonly failure?: string;
}

/** What can be said of a snapshot that wants a version, or a later one. */
export type StateCopyVerdict =
  | { readonly is: 'whole' | 'awaited' }
  | { readonly is: 'failed'; readonly why: string };

const NONE: StateCopy = { version: 0 };

export const stateCopyKey = (database: string) => `state-copies/${database}`;

export class StateCopies {
  readonly #registry: Registry;

  constructor({ registry }: { registry: Registry }) {
    this.#registry = registry;
  }

  async get(database: string): Promise<StateCopy> {
    return (await this.#registry.get<StateCopy>(stateCopyKey(database)))?.value ?? NONE;
  }

  /** For the controller alone. */
  async tell(database: string, copy: StateCopy): Promise<void> {
    const key = stateCopyKey(database);
    const known = await this.#registry.get(key);
    try {
      await this.#registry.put(key, copy, known?.revision ?? 0);
    } catch (error) {
      // A controller that comes after this one says what is so.
      if (!isCoded(error, 'REGISTRY_CONFLICT')) throw error;
    }
  }
}

/** Whether what is on the volume now may be taken for that version. */
export function judgeStateCopy({ version, underWay, failure }: StateCopy, wanted: number): StateCopyVerdict {
  const reaches = Math.max(version, underWay ?? 0) >= wanted;
  if (failure !== undefined && reaches) return { is: 'failed', why: failure };
  return { is: underWay === undefined && version >= wanted ? 'whole' : 'awaited' };
}
