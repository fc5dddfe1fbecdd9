/**
 * Where several machines may run the databases: the place that one of them holds (registry/holder.ts), and what runs only while this
 * machine holds it: the controller with its heads, and the AWS API (databases/databases-term.ts).
 *
 * The place keeps two machines from taking volumes from each other in turn. It is no lock: a machine may stand still, and go on believing
 * that it holds it. What keeps data safe is each volume's epoch: a head that does not know yet that it was replaced is refused by the
 * storage nodes. What keeps records safe is compare-and-set: see `registryOfTerm`.
 */
import { type Clock, CodedError, Deferred, isCoded } from '@rokka/kernel';
import { Holder, type HolderRecord, type Registry, type Tenure } from '@rokka/registry';
import { rokkaErrors } from './errors.ts';

const PLACE = 'holders/main';

/** A term of holding, for the controller and the processes of heads. */
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

/**
 * The registry for what is done in a term: each write asks first whether the term is over.
 *
 * Between question and write the machine may stand still, and another one take over. Then the write names a revision that was read before:
 * if the other one, or anybody, has changed the key since, it is refused. If nobody has, it is as if it had come before the change of place.
 */
export function registryOfTerm(registry: Registry, place: HeldPlace): Registry {
  return {
    get: (key) => registry.get(key),
    list: (prefix) => registry.list(prefix),
    async put(key, value, revision) {
      await demandPlace(registry, place);
      return registry.put(key, value, revision);
    },
    async remove(key, revision) {
      await demandPlace(registry, place);
      return registry.remove(key, revision);
    },
    // Whoever opened it closes it.
    async [Symbol.asyncDispose]() {},
  };
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

/** What runs while this machine holds the place. */
export interface Term extends AsyncDisposable {
  /** Resolves when it serves. */
  start(): Promise<void>;
  /** Ends all of it without asking. It is disposed of as well. */
  kill(): void;
}

export interface HeadPlaceOptions<T extends Term> {
  registry: Registry;
  clock: Clock;
  /** This machine, for people; the same at each start. */
  name: string;
  /** Before each term: what heads need may have become too old while another machine had the place. */
  beforeTerm(): Promise<unknown>;
  /** It tells once that it cannot go on. */
  makeTerm(place: HeldPlace, onFinal: (error: CodedError) => void): T;
  onProgress(text: string): void;
  onLog(level: 'info' | 'warn', text: string): void;
}

type End = CodedError | 'lost' | 'stopped';

export class HeadPlace<T extends Term> implements AsyncDisposable {
  readonly #options: HeadPlaceOptions<T>;
  readonly #stop = new AbortController();
  readonly #stopped = new Deferred<End>();
  readonly #serving = new Deferred<void>();
  readonly #failed = new Deferred<CodedError>();
  #term: T | undefined;
  #running: Promise<void> | undefined;

  constructor(options: HeadPlaceOptions<T>) {
    this.#options = options;
    this.#serving.promise.catch(() => {});
  }

  /** Undefined while another machine runs the databases. */
  get term(): T | undefined {
    return this.#term;
  }

  /** Resolves with the reason if this machine can't run the databases. */
  get failed(): Promise<CodedError> {
    return this.#failed.promise;
  }

  /** Resolves when this machine serves for the first time, which may be never. @throws what the term or the registry throws */
  start(): Promise<void> {
    this.#running = this.#takeTurns().catch((error: unknown) => {
      if (!isCoded(error)) throw error;
      this.#serving.reject(error);
      this.#failed.resolve(error);
    });
    return this.#serving.promise;
  }

  kill(): void {
    this.#term?.kill();
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
      if (end === 'lost' || isTakenOver(end))
        this.#options.onLog('warn', 'another machine has taken the databases over: this one stands by');
      else if (isPassing(end)) await this.#putOff(end);
      else throw end;
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
      if (other !== '') onProgress(`standing by: ${other ?? 'another machine'} runs the databases`);
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

  async #putOff(error: CodedError): Promise<void> {
    const { clock, onLog } = this.#options;
    onLog('warn', `the databases are not started yet: ${error.message}`);
    try {
      await clock.sleep(AGAIN_MS, this.#stop.signal);
    } catch {
      // Told to stop: whoever asks next sees it.
    }
  }

  async #serve(tenure: Tenure, lost: Promise<End>): Promise<End> {
    const { beforeTerm, makeTerm, name } = this.#options;
    const ended = new Deferred<End>();
    try {
      await beforeTerm();
      if (this.#stop.signal.aborted) return 'stopped';
      const term = makeTerm({ holder: name, term: tenure.term }, (error) => ended.resolve(error));
      this.#term = term;
      term.start().then(
        () => this.#serving.resolve(),
        (error: unknown) => ended.resolve(error as CodedError),
      );
      const end = await Promise.race([ended.promise, lost, this.#stopped.promise]);
      // Whoever lost the place has nothing more to make durable, and nobody may read from it.
      if (end === 'lost' || (end !== 'stopped' && isTakenOver(end))) term.kill();
      return end;
    } finally {
      await this.#term?.[Symbol.asyncDispose]();
      this.#term = undefined;
      await tenure[Symbol.asyncDispose]();
    }
  }
}

const AGAIN_MS = 1_000;

/** The registry is away, just as the term begins: it is there again some time, here or for the machine that takes the place meanwhile. */
const isPassing = ({ code }: CodedError): boolean =>
  ['REGISTRY_UNAVAILABLE', 'REGISTRY_BUSY', 'REGISTRY_FAILED'].includes(code);
const isTakenOver = ({ code }: CodedError): boolean => ['VOLUME_FENCED', 'ROKKA_PLACE_LOST'].includes(code);
const stopError = () => new CodedError('ROKKA_STOPPED', 'told to stop');
