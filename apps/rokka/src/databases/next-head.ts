/**
 * A head for whichever database begins next: its code is loaded and PostgreSQL's stage is made, so a database that is restored, or
 * started again, waits for neither. There is one in a cluster, and only where memory is plenty: what it takes it takes all the time.
 */
import { type Clock, machineMemoryBytes } from '@rokka/kernel';
import type { ChildProcess } from 'node:child_process';
import { SpareProcess } from '../spare-process.ts';

/** On its command line: no database can have it. */
export const NEXT_HEAD_NAME = '(whichever begins next)';
/** What begins now has the machine for itself first. */
const SOON_MS = 1_000;
const AGAIN_MS = 30_000;
/** Of the machine, or of the container. It takes about 80 MB of that. */
const MEMORY_BYTES_MIN = 4 * 2 ** 30;

export interface NextHeadOptions {
  readonly clock: Clock;
  /** The machine's unless given. */
  readonly memoryBytes?: number;
  launch(): ChildProcess;
}

export class NextHead implements AsyncDisposable {
  readonly #options: NextHeadOptions;
  readonly spare: SpareProcess;
  #cancel = () => {};

  constructor(options: NextHeadOptions) {
    this.#options = options;
    this.spare = new SpareProcess({ launch: options.launch, onMissing: () => this.#prepareAfter(AGAIN_MS) });
  }

  /** What a head of its kind begins with: the spare of the head before it, where one waits, or this one. */
  after(handedOver: SpareProcess | undefined): Pick<SpareProcess, 'take'> {
    // A head that keeps no spare hands over an empty place.
    return { take: () => handedOver?.take() ?? this.spare.take() };
  }

  /** A database serves: the one that comes after it has a head that waits, in a moment. */
  prepareSoon(): void {
    const { memoryBytes = machineMemoryBytes() } = this.#options;
    if (memoryBytes >= MEMORY_BYTES_MIN) this.#prepareAfter(SOON_MS);
  }

  /** Ends it without asking. Dispose it as well. */
  kill(): void {
    this.#cancel();
    this.spare.dismiss();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancel();
    await this.spare[Symbol.asyncDispose]();
  }

  #prepareAfter(ms: number): void {
    this.#cancel();
    this.#cancel = this.#options.clock.after(ms, () => this.spare.prepare());
  }
}
