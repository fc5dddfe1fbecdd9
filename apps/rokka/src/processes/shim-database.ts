/** What a shim holds: the head that writes the volume, where one is killed the next one, and the server on its mount where there is one. */
import * as fs from 'node:fs/promises';
import { CodedError, Deferred, must, systemClock } from '@rokka/kernel';
import { unmount } from '@rokka/fuse';
import { type ChildEnd, SupervisedChild, type Launch } from '../child.ts';
import type { SpareProcess } from '../spare-process.ts';
import type { HeadDetail } from '../head-status.ts';
import type { ParentChannel } from './channel.ts';
import type { Connection, Duties, FilesDetail, Mounted } from './engine.ts';
import type { HeadProcessOptions } from './head-process.ts';
import { kernelResends } from './legacy-fds.ts';
import type { MountRequest, WarmUpRequest } from './native-files.ts';
import { NativeServer, type PreparedStage } from './native-server.ts';
import type { StartSteps } from './start-steps.ts';

const HEAD_READY_MS = 600_000;
const HEAD_STOP_MS = 60_000;
const MOUNT_MS = 30_000;
const WARM_UP_MS = 5_000;
const UNMOUNT_MS = 10_000;
const AT_ONCE_MS = 500;
const ENDS_AT_ONCE_MAX = 5;
/** Whoever asks us has a deadline of its own; this is only so that no question stays for ever. */
const DUTY_MS = 3_600_000;

export interface ShimDatabaseParts {
  readonly options: HeadProcessOptions;
  readonly launch: Launch;
  readonly first: SpareProcess;
  /** With PostgreSQL. */
  readonly stage: Promise<PreparedStage> | undefined;
  fail(error: unknown): void;
}

export class ShimDatabase implements AsyncDisposable {
  readonly #channel: ParentChannel;
  readonly #parts: ShimDatabaseParts;
  readonly #head: SupervisedChild;
  /** Settles when the head that is on its way serves, or none will. */
  #settled = new Deferred<void>();
  readonly #opening = new AbortController();
  /** Where another head can go on from. */
  #mount: Mounted | undefined;
  /** Of a volume without a server, as its head told last. */
  #files: FilesDetail | undefined;
  #server: NativeServer | undefined;
  #stopping = false;
  /** How many heads, one after the other, ended as soon as they had begun. */
  #endsAtOnce = 0;

  constructor(channel: ParentChannel, parts: ShimDatabaseParts) {
    this.#channel = channel;
    this.#parts = parts;
    const { launch, first, fail } = parts;
    this.#head = new SupervisedChild({
      ...launch,
      name: 'the volume process',
      awaitsBegin: true,
      spare: kernelResends() && (parts.options.spareHead ?? false),
      handedOver: first,
      argument: () => this.#headOptions(),
      mayFollow: (end) => this.#mayFollow(end),
      clock: systemClock,
      readyTimeoutMs: HEAD_READY_MS,
      stopTimeoutMs: HEAD_STOP_MS,
      onProgress: (text) => channel.send({ kind: 'progress', text }),
      onLog: (level, text) => channel.send({ kind: 'log', level, text }),
      onReady: (detail) => this.#onReady(detail as Mounted | FilesDetail | undefined),
      onLost: () => (this.#settled = new Deferred()),
      onFinal: (error) => {
        this.#settled.resolve();
        if (!this.#stopping) fail(error);
      },
    });
    void channel.stopped.then(() => {
      this.#opening.abort(new CodedError('ROKKA_STOPPED', 'told to stop'));
      // Nobody is served yet; else it is told when the server has ended.
      if (!this.#mount && !this.#head.ready) void this.#head[Symbol.asyncDispose]();
    });
  }

  /** What the head is asked for, passed on to it. */
  get duties(): Duties {
    const ask = (what: string) => async (argument: unknown) => {
      const answer = (await this.#head.ask(what, DUTY_MS, argument)) as object;
      // Whoever takes over must know it, too.
      if (what === 'resize') this.#files = answer as FilesDetail;
      return answer;
    };
    return new Proxy<Duties>({}, { get: (_, what) => (typeof what === 'string' ? ask(what) : undefined) });
  }

  async start(steps: StartSteps): Promise<Connection | FilesDetail | undefined> {
    const { options, stage, fail } = this.#parts;
    if (options.engine !== 'native') {
      await this.#head.start();
      steps.done('volume and files');
      return this.#files;
    }
    const { signal } = this.#opening;
    const warmUp = (request: WarmUpRequest) => this.#warmUp(request);
    // The stage is other programs' work, and goes on beside.
    const [server] = await Promise.all([
      NativeServer.prepare({ options, channel: this.#channel, signal, warmUp, fail }, must(stage)),
      this.#head.start(),
    ]);
    steps.done('volume and files');
    this.#server = server;
    const request: MountRequest = { mountPoint: server.mountPoint };
    const mounted = (await this.#head.ask('mount', MOUNT_MS, request)) as Mounted;
    if (mounted.canBeTakenOver) this.#mount = mounted;
    steps.done('mount');
    return server.start(steps);
  }

  /** Undefined while no head answers. */
  async status(): Promise<HeadDetail | undefined> {
    const detail = (await this.#head.status()) as HeadDetail | undefined;
    const { pid, restarts: takeOvers } = this.#head;
    if (!detail || pid === undefined) return undefined;
    const engine = { ...detail.engine, ...this.#server?.status };
    return {
      ...detail,
      engine,
      process: { pid, takeOvers, canBeTakenOver: this.#mount !== undefined },
      shimBytes: process.memoryUsage.rss(),
    };
  }

  /** The server first: what it writes last goes to the head. Then the head, which unmounts in good order: one that is taking over has to be there. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
    this.#stopping = true;
    if (this.#mount && !this.#head.ready)
      await Promise.race([this.#settled.promise, systemClock.sleep(HEAD_STOP_MS)]);
    await this.#head[Symbol.asyncDispose]();
    if (this.#mount && this.#parts.options.engine === 'files') await takeAway(this.#mount.mountPoint);
  }

  #headOptions(): HeadProcessOptions {
    const { options } = this.#parts;
    const files = options.files && { files: { ...options.files, ...this.#files } };
    return {
      ...options,
      ...files,
      ...(this.#mount && { takesOver: { mountPoint: this.#mount.mountPoint } }),
    };
  }

  /**
   * It was killed from outside, and what it has left says the rest. Where one after the other ends as soon as it has begun, something that
   * they are asked kills them: all of it begins anew, and whoever asked gets an error.
   */
  #mayFollow({ signal, readyForMs = 0 }: ChildEnd): boolean {
    this.#endsAtOnce = readyForMs < AT_ONCE_MS ? this.#endsAtOnce + 1 : 0;
    // Any other signal is a head's own end: an abort, a fault.
    return signal === 'SIGKILL' && this.#mount !== undefined && this.#endsAtOnce < ENDS_AT_ONCE_MAX;
  }

  /** @param detail undefined of a head that is yet to be told where to mount */
  #onReady(detail: Mounted | FilesDetail | undefined): void {
    this.#settled.resolve();
    if (detail && 'sizeBytes' in detail) this.#files = detail;
    const text = 'another volume process has taken the mount over';
    if (this.#mount) this.#channel.send({ kind: 'log', level: 'info', text });
    const { mountPoint, canBeTakenOver = false } = detail ?? {};
    if (mountPoint !== undefined && canBeTakenOver) this.#mount = { mountPoint, canBeTakenOver };
  }

  /** Nothing depends on it, so nobody waits for the answers. */
  #warmUp(request: WarmUpRequest): Disposable {
    this.#head.ask('warm-up', WARM_UP_MS, request).catch(() => {});
    return {
      [Symbol.dispose]: () => void this.#head.ask('warm-up-over', WARM_UP_MS, {}).catch(() => {}),
    };
  }
}

/** Where a head that was to unmount could not: nothing of it may stay where the machine's programs look. */
async function takeAway(mountPoint: string): Promise<void> {
  await unmount(mountPoint, { how: 'lazy', timeoutMs: UNMOUNT_MS, clock: systemClock }).catch(() => {});
  // Not there any more, or somebody else's files lie in it.
  await fs.rmdir(mountPoint).catch(() => {});
}
