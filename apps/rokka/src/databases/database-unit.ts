/**
 * One database as the controller holds it: the head that runs for it, and the steps that are carried out for it, one at a
 * time. It decides nothing.
 */
import type { Clock, CodedError } from '@rokka/kernel';
import { deadline, describeError, isCoded } from '@rokka/kernel';
import type { DatabaseRecord } from '@rokka/databases';
import type { SupervisedChild } from '../child.ts';
import type { Connection, FilesDetail } from '../processes/engine.ts';
import type { SpareProcess } from '../spare-process.ts';
import type { ChildFacts, Failure } from './decision.ts';

const RESIZE_MS = 10_000;
const RETRY_MS = 2_000;
const RETRY_MS_MAX = 60_000;
/** A spare that was killed, and an unmount. */
const GONE_MS = 15_000;
/** One that has served for so long was well: what fails next fails for the first time. */
const WELL_AFTER_MS = 60_000;

/** What is needed of a head: `SupervisedChild` is one, and so is one on another machine (machines/heads/placed-head.ts). */
export interface Head extends HeadProcess {
  /** The joined machine that it runs on; undefined on the first. */
  readonly machine?: string;
  /** Its machine is not heard. */
  readonly isAway?: boolean;
  handOver(): SpareProcess | undefined;
  /** Of one on another machine: to be ended, though nobody here has started it. */
  adopt?(): void;
  /** Of one on another machine: nobody waits for its end. Its volume must be fenced before anybody counts on that. */
  abandon?(): void;
}

type HeadProcess = Pick<
  SupervisedChild,
  | 'pid'
  | 'ready'
  | 'restarts'
  | 'lastError'
  | 'start'
  | 'status'
  | 'ask'
  | 'keepSpare'
  | 'spareWaits'
  | 'kill'
  | typeof Symbol.asyncDispose
>;

export interface UnitOptions {
  clock: Clock;
  makeHead(of: {
    record: DatabaseRecord;
    /** The spare of the head before it. */
    handedOver: SpareProcess | undefined;
    /** Whether the server shall take over the password without being asked for the one it has. */
    resetPassword(): boolean;
    onReady(detail: Connection | FilesDetail): void;
    onLost(): void;
    onFinal(error: CodedError): void;
    onProgress(text: string): void;
  }): Head;
  /** Something has happened: decide again. */
  onNews(): void;
  onFinal(error: CodedError): void;
}

export class DatabaseUnit {
  readonly #options: UnitOptions;
  #child: Head | undefined;
  #started: { generation: number; passwordVersion: number; atMs: number } | undefined;
  /** So many its head was told to keep. */
  #standbys = 0;
  /** Between two heads: what waits for the next one. */
  #handedOver: SpareProcess | undefined;
  #ending = false;
  /** How it was when it was looked at last, and since when. */
  #seen: { kind: ChildFacts['kind']; sinceMs: number } | undefined;
  #hasServed = false;
  #detail: Connection | FilesDetail | undefined;
  #failure: Failure | undefined;
  #passwordIsUnknown = false;
  /** This head was told to set the password. */
  #hasReset = false;
  #failures = 0;
  #work: Promise<void> | undefined;
  /** The end of the last head of this machine that ended for good, with its spare and its mount. */
  #gone: Promise<void> | undefined;
  /** The joined machine on which its last head has ended. */
  endedOn: string | undefined;
  /** What its head does just now, for people. */
  progress = '';

  constructor(options: UnitOptions) {
    this.#options = options;
  }

  get child(): Head | undefined {
    return this.#child;
  }

  /** Of its server. */
  get connection(): Connection | undefined {
    return this.#detail && 'host' in this.#detail ? this.#detail : undefined;
  }

  /** Of its files, where it has no server. */
  get files(): FilesDetail | undefined {
    return this.#detail && 'sizeBytes' in this.#detail ? this.#detail : undefined;
  }

  get failure(): Failure | undefined {
    return this.#failure;
  }

  /** A step is under way that nothing else may come beside. */
  get busy(): boolean {
    return this.#work !== undefined;
  }

  /** In its first start, and for how long: it uses the machine while others wait. */
  get startingForMs(): number | undefined {
    if (!this.#started || this.#hasServed) return undefined;
    return this.#options.clock.nowMs() - this.#started.atMs;
  }

  facts(): ChildFacts | undefined {
    const child = this.#child;
    if (!child || !this.#started) return undefined;
    const { generation, passwordVersion } = this.#started;
    const kind = this.#ending ? 'ending' : child.ready ? 'serving' : 'starting';
    const nowMs = this.#options.clock.nowMs();
    if (this.#seen?.kind !== kind) this.#seen = { kind, sinceMs: nowMs };
    if (kind === 'serving' && nowMs - this.#seen.sinceMs > WELL_AFTER_MS) this.#failures = 0;
    const why = child.lastError && describeError(child.lastError);
    const { connection, files } = this;
    const endpoint = connection && { host: connection.host, port: connection.port };
    const waiting = Math.min(this.#standbys, child.spareWaits ? 1 : 0);
    const mustRestart = this.#passwordIsUnknown && kind === 'serving';
    const { machine, isAway } = child;
    return {
      kind,
      generation,
      passwordVersion,
      mustRestart,
      sinceMs: this.#seen.sinceMs,
      why,
      endpoint,
      ...(machine !== undefined && { machine, isAway: isAway === true }),
      standbys: { kept: this.#standbys, waiting },
      files,
    };
  }

  /** Starts a head. Resolves when it serves for the first time. @throws its error; ROKKA_CHILD_LATE, after which it goes on */
  start(record: DatabaseRecord, revision: number): Promise<void> {
    const { generation, passwordVersion, standbys = 0 } = record;
    this.#standbys = standbys;
    this.#started = { generation, passwordVersion, atMs: this.#options.clock.nowMs() };
    this.#seen = undefined;
    this.#hasServed = false;
    this.#hasReset = this.#passwordIsUnknown;
    const child = this.#make(record, revision);
    this.#child = child;
    const serves = child.start();
    serves.catch(() => {});
    // It has taken what there was.
    void this.letGo();
    return serves;
  }

  /** Nothing of the head before is left that could take from the next one what it has. @throws KERNEL_DEADLINE */
  async whenGone(): Promise<void> {
    const { clock } = this.#options;
    if (this.#gone) await deadline(this.#gone, { what: 'the end of the head before', ms: GONE_MS, clock });
  }

  /** One on another machine that a controller before this one has started, and that is to end. */
  endThere(record: DatabaseRecord, revision: number): void {
    const { generation, passwordVersion } = record;
    this.#started = { generation, passwordVersion, atMs: this.#options.clock.nowMs() };
    this.#seen = undefined;
    this.#child = this.#make(record, revision);
    this.#child.adopt?.();
    this.end('in-order');
  }

  #make(record: DatabaseRecord, revision: number): Head {
    this.endedOn = undefined;
    const child: Head = this.#options.makeHead({
      record,
      handedOver: this.#handedOver,
      resetPassword: () => this.#passwordIsUnknown,
      onProgress: (text) => (this.progress = text),
      onReady: (detail) => {
        this.#detail = detail;
        this.#hasServed = true;
        this.progress = '';
        this.#passwordIsUnknown = false;
        this.#failure = undefined;
        this.#options.onNews();
      },
      onLost: () => this.#options.onNews(),
      onFinal: (error) => {
        if (this.#child !== child) return;
        this.failed(error, revision);
        this.#child = undefined;
        this.#started = undefined;
        this.#options.onFinal(error);
        // It has ended; what it leaves, a spare, a mount, has not.
        const gone = child[Symbol.asyncDispose]();
        // One on another machine may be long out of reach; there its mount is not in the way of a head here.
        if (child.machine === undefined) this.#gone = gone;
      },
    });
    return child;
  }

  /** Ends the head. In good order, so that the next start need not recover; `again`: and its spare is the next. */
  end(how: 'in-order' | 'again' | 'at-once'): void {
    const child = this.#child;
    if (!child) return;
    this.#ending = true;
    if (how === 'again') this.#handedOver = child.handOver();
    if (how === 'at-once') child.kill();
    // One on another machine may be long out of reach: it is looked at meanwhile, for it may be taken from there.
    if (child.machine === undefined) this.carryOut(() => this.#ended(child));
    else void this.#ended(child).then(this.#options.onNews);
  }

  /** The volume is taken from the machine that its head runs on, whether that hears of it or not. */
  abandon(): void {
    const child = this.#child;
    child?.abandon?.();
    if (child && !this.#ending) this.end('at-once');
  }

  async #ended(child: Head): Promise<void> {
    await child[Symbol.asyncDispose]();
    if (this.#child !== child) return;
    this.endedOn = child.machine;
    this.#ending = false;
    this.#child = undefined;
    this.#started = undefined;
    this.#detail = undefined;
  }

  /** No head comes that the spare of the last one could be. */
  async letGo(): Promise<void> {
    const spare = this.#handedOver;
    this.#handedOver = undefined;
    await spare?.[Symbol.asyncDispose]();
  }

  /** Its files may take so much from now on. @throws what `SupervisedChild.ask` throws */
  async resize(sizeBytes: number): Promise<void> {
    this.#detail = (await this.#child?.ask('resize', RESIZE_MS, { sizeBytes })) as FilesDetail | undefined;
  }

  /** There is one at most, whatever is asked for. */
  keepStandbys(count: number): void {
    this.#standbys = count;
    this.#child?.keepSpare(count > 0);
  }

  /** Takes note that what the record of this revision asks for cannot be done now. */
  failed(error: unknown, revision: number): void {
    const pauseMs = Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** this.#failures++);
    const retryAtMs = this.#options.clock.nowMs() + pauseMs;
    this.#failure = { reason: describeError(error), revision, retryAtMs };
  }

  /**
   * A person has set another password in the server: the next head changes it while no server runs. False where this head
   * has done that already.
   */
  forgetPassword(): boolean {
    this.#passwordIsUnknown = !this.#hasReset;
    return this.#passwordIsUnknown;
  }

  succeeded(): void {
    this.#failure = undefined;
    this.#failures = 0;
  }

  /** One step. Whatever of the world's goes wrong in it must be dealt with there. */
  carryOut(step: () => Promise<void>): void {
    this.#work = step().finally(() => {
      this.#work = undefined;
      this.#options.onNews();
    });
  }

  /** Ends the head with whatever is under way. */
  async stop(): Promise<void> {
    await this.#work;
    await Promise.all([this.#child?.[Symbol.asyncDispose](), this.#gone, this.letGo()]);
  }

  kill(): void {
    void this.letGo();
    this.#child?.kill();
  }
}

/** For steps: whether it may be tried again. What is not coded is a mistake of ours, and ends the process. */
export function demandCoded(error: unknown): void {
  // An error of the server's has a code, but is none of ours; so have those of sockets and files.
  const isWorlds = isCoded(error) || typeof (error as { code?: unknown }).code === 'string';
  if (!isWorlds) throw error;
}
