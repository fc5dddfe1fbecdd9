/**
 * Has the volumes that hold a copy of the cluster's state brought up to what their records want. The head of the volume copies (processes/state-copy.ts);
 * here stands when, and what of it may be taken.
 *
 * That a copy is under way is written down before it begins, and that it is whole after it is durable: so after a crash, whoever dies, nothing is taken
 * of a mixture. A copy waits while a point of the volume is being taken, and the other way round.
 */
import type { DatabaseRecord, StateCopies } from '@rokka/databases';
import { type Clock, describeError, isCoded } from '@rokka/kernel';
import { rokkaErrors } from '../errors.ts';
import type { Head } from './database-unit.ts';

/** All of the state, the first time. */
const COPY_MS = 600_000;
const RETRY_MS = 1_000;
const ATTEMPTS_MAX = 5;

export interface StateCopierOptions {
  copies: StateCopies;
  clock: Clock;
  head(database: string): Head | undefined;
  /** Whether a point of it is being taken. */
  isHeld(database: string): boolean;
}

export class StateCopier {
  readonly #options: StateCopierOptions;
  readonly #busy = new Set<string>();
  readonly #resting = new Set<string>();
  /** By database and version. */
  readonly #failures = new Map<string, number>();

  constructor(options: StateCopierOptions) {
    this.#options = options;
  }

  /** Whether it is being copied to just now. */
  isBusy(database: string): boolean {
    return this.#busy.has(database);
  }

  /** Begins whatever can be done now. @throws what the registry throws */
  async look(records: readonly DatabaseRecord[]): Promise<void> {
    const { copies, head, isHeld } = this.#options;
    for (const { name, desired, files } of records) {
      const wanted = files?.stateCopy;
      if (wanted === undefined || desired !== 'running' || !head(name)?.ready) continue;
      if (this.#busy.has(name) || this.#resting.has(name) || isHeld(name)) continue;
      const { version, underWay, failure } = await copies.get(name);
      const isGivenUp = failure !== undefined && (underWay ?? 0) >= wanted;
      if (version >= wanted && underWay === undefined) continue;
      if (!isGivenUp) this.#begin(name, { wanted, version });
    }
  }

  #begin(name: string, of: { wanted: number; version: number }): void {
    const { clock } = this.#options;
    this.#busy.add(name);
    const rest = () => {
      this.#resting.add(name);
      clock.after(RETRY_MS, () => void this.#resting.delete(name), { keepAlive: false });
    };
    this.#copy(name, of)
      .then(
        (isMade) => isMade || rest(),
        (error: unknown) => {
          // The registry is away: begun anew when it is back.
          if (!isCoded(error)) throw error;
          rest();
        },
      )
      .finally(() => void this.#busy.delete(name));
  }

  async #copy(name: string, { wanted, version }: { wanted: number; version: number }): Promise<boolean> {
    const { copies } = this.#options;
    const key = `${name} ${wanted}`;
    await copies.tell(name, { version, underWay: wanted });
    try {
      await this.#head(name).ask('copy-state', COPY_MS);
    } catch (error) {
      if (!isCoded(error)) throw error;
      // Another head is on its way: as long as that takes, it is no try.
      if (error.code === 'ROKKA_CHILD_AWAY') return false;
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      const failure = describeError(error);
      if (failures >= ATTEMPTS_MAX) await copies.tell(name, { version, underWay: wanted, failure });
      return false;
    }
    this.#failures.delete(key);
    await copies.tell(name, { version: wanted });
    return true;
  }

  /** @throws ROKKA_CHILD_AWAY */
  #head(name: string): Head {
    const head = this.#options.head(name);
    if (!head) throw rokkaErrors.ROKKA_CHILD_AWAY([name]);
    return head;
  }
}
