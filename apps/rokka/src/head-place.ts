/**
 * Where several machines may run the database: the place that one of them holds (registry/holder.ts), and the head, which
 * runs only while this machine holds it.
 *
 * The place keeps two heads from taking the volume from each other in turn. What keeps data safe is the volume's epoch: a
 * head that does not know yet that it was replaced is refused by the storage nodes.
 */
import { type Clock, CodedError, Deferred, isCoded } from '@rokka/kernel';
import { Holder, type HolderRecord, type Registry, type Tenure } from '@rokka/registry';
import type { SupervisedChild } from './child.ts';
import { rokkaErrors } from './errors.ts';

const PLACE = 'holders/main';

/** A term of holding, for the head's process. */
export interface HeldPlace {
  readonly holder: string;
  readonly term: number;
}

/** @throws ROKKA_PLACE_LOST where this term is over, what the registry throws */
export async function demandPlace(registry: Registry, { holder, term }: HeldPlace): Promise<void> {
  const entry = await registry.get<HolderRecord>(PLACE);
  if (entry?.value.holder !== holder || entry.value.term !== term)
    throw rokkaErrors.ROKKA_PLACE_LOST([entry?.value.holder ?? '']);
}

/** Empty where nobody holds it; undefined where the registry does not say. */
export async function placeHolder(registry: Registry): Promise<string | undefined> {
  try {
    return (await registry.get<HolderRecord>(PLACE))?.value.holder ?? '';
  } catch (error) {
    if (!isCoded(error)) throw error;
    return undefined;
  }
}

export interface HeadPlaceOptions {
  registry: Registry;
  clock: Clock;
  /** This machine, for people; the same at each start. */
  name: string;
  /** Before the head of each term: what it needs may have become too old while another machine had the place. */
  beforeHead(): Promise<unknown>;
  /** The head for one term. It is told once that the head ended for good. */
  makeHead(place: HeldPlace, onFinal: (error: CodedError) => void): SupervisedChild;
  onProgress(text: string): void;
  onLog(level: 'info' | 'warn', text: string): void;
}

type End = CodedError | 'lost' | 'stopped';

export class HeadPlace implements AsyncDisposable {
  readonly #options: HeadPlaceOptions;
  readonly #stop = new AbortController();
  readonly #stopped = new Deferred<End>();
  readonly #serving = new Deferred<void>();
  readonly #failed = new Deferred<CodedError>();
  #head: SupervisedChild | undefined;
  #running: Promise<void> | undefined;

  constructor(options: HeadPlaceOptions) {
    this.#options = options;
    this.#serving.promise.catch(() => {});
  }

  /** Undefined while another machine runs the database. */
  get head(): SupervisedChild | undefined {
    return this.#head;
  }

  /** Resolves with the reason if this machine can't run the database. */
  get failed(): Promise<CodedError> {
    return this.#failed.promise;
  }

  /** Resolves when this machine serves for the first time, which may be never. @throws what the head or the registry throws */
  start(): Promise<void> {
    this.#running = this.#takeTurns().catch((error: unknown) => {
      if (!isCoded(error)) throw error;
      this.#serving.reject(error);
      this.#failed.resolve(error);
    });
    return this.#serving.promise;
  }

  kill(): void {
    this.#head?.kill();
    this.#stop.abort(stopError());
    this.#stopped.resolve('stopped');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(stopError());
    this.#stopped.resolve('stopped');
    this.#serving.reject(stopError());
    await this.#running;
  }

  async #takeTurns(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const lost = new Deferred<End>();
      const tenure = await this.#hold(() => lost.resolve('lost'));
      if (!tenure) return;
      const end = await this.#serve(tenure, lost.promise);
      if (end === 'stopped') return;
      if (end !== 'lost' && !isTakenOver(end)) throw end;
      this.#options.onLog('warn', 'another machine has taken the database over: this one stands by');
    }
  }

  /** Undefined where it was told to stop meanwhile. */
  async #hold(onLost: () => void): Promise<Tenure | undefined> {
    const { registry, clock, name, onProgress } = this.#options;
    const holder = new Holder({
      registry,
      clock,
      key: PLACE,
      name,
      onStanding: (standing) => {
        if (standing === 'lost') onLost();
      },
    });
    try {
      const own = await this.#ownVacancy(holder);
      if (own) return own;
      const other = await placeHolder(registry);
      if (other !== '') onProgress(`standing by: ${other ?? 'another machine'} runs the database`);
      return await holder.hold(this.#stop.signal);
    } catch (error) {
      if (this.#stop.signal.aborted) return undefined;
      throw error;
    }
  }

  /** What stands under our own name is of a process that has ended: the data directory's lock is ours. */
  async #ownVacancy(holder: Holder): Promise<Tenure | undefined> {
    const { registry, name } = this.#options;
    const entry = await registry.get<HolderRecord>(PLACE).catch((error: unknown) => {
      if (!isCoded(error)) throw error;
      return undefined;
    });
    if (entry?.value.holder !== name) return undefined;
    return holder.take({ why: 'gone', revision: entry.revision, term: entry.value.term });
  }

  async #serve(tenure: Tenure, lost: Promise<End>): Promise<End> {
    const { beforeHead, makeHead, name } = this.#options;
    const ended = new Deferred<End>();
    try {
      await beforeHead();
      if (this.#stop.signal.aborted) return 'stopped';
      const head = makeHead({ holder: name, term: tenure.term }, (error) => ended.resolve(error));
      this.#head = head;
      head.start().then(
        () => this.#serving.resolve(),
        (error: unknown) => ended.resolve(error as CodedError),
      );
      const end = await Promise.race([ended.promise, lost, this.#stopped.promise]);
      // Whoever lost the place has nothing more to make durable, and nobody may read from it.
      if (end === 'lost') head.kill();
      return end;
    } finally {
      await this.#head?.[Symbol.asyncDispose]();
      this.#head = undefined;
      await tenure[Symbol.asyncDispose]();
    }
  }
}

const isTakenOver = ({ code }: CodedError): boolean => ['VOLUME_FENCED', 'ROKKA_PLACE_LOST'].includes(code);
const stopError = () => new CodedError('ROKKA_STOPPED', 'told to stop');
