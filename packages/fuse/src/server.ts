/**
 * A filesystem at a mount point, for as long as it can keep its word: ties mount, device and session together and owns all
 * three. When the session fails, the mount is aborted and taken away; it is never resumed (session.ts says why).
 */
import * as fs from 'node:fs';
import { deadline, Deferred, describeError, type Clock } from '@rokka/kernel';
import { Channel, type ReaderKind } from './channel.ts';
import { fuseErrors } from './errors.ts';
import type { FuseHandler } from './handler.ts';
import type { Legacy } from './legacy.ts';
import { mount, unmount, type Limits, type Mounted } from './mount.ts';
import { NOTIFY_RESEND, OUT_HEADER } from './protocol.ts';
import { FuseSession, type FuseStatistics } from './session.ts';

export interface FuseServerOptions {
  readonly handler: FuseHandler;
  /** An existing directory; its path is free again when the server has ended. */
  readonly mountPoint: string;
  readonly clock: Clock;
  /** One line for each thing that an operator should know. */
  readonly log: (line: string) => void;
  /** First column of df(1). Default `rokka`. */
  readonly source?: string;
  /** Default `/dev/fuse`. */
  readonly device?: string;
  /**
   * An open device that no mount is tied to yet. Whoever holds it beside this process keeps the mount when the process is killed, and
   * callers wait; then another server goes on (`takeOver`), or whoever holds it lets go.
   */
  readonly fd?: number;
  /** What that server will need. Of a mount whose server leaves nothing, nobody takes over. */
  readonly legacy?: Legacy;
  /**
   * `direct` (default): reads and writes go past the kernel's page cache, so that one write is one request and nothing is
   * cached twice. `kernel`: pages stay in the kernel's cache too; for programs that read the same files over and over.
   */
  readonly cache?: 'direct' | 'kernel';
  /** Default `auto`: `epoll` where this Node can, else `pool`. */
  readonly reader?: ReaderKind;
  /** Reads that wait at once with the reader `pool`. Default 2. */
  readonly poolReads?: number;
  /** For mount(8), umount(8), the kernel's first request, and what must become durable at the end. Default 10 s. */
  readonly timeoutMs?: number;
}

/** Why the mount is no more: unmounted, by whomever, or failed. */
export type FuseEnd = { readonly kind: 'unmounted' } | { readonly kind: 'failed'; readonly error: unknown };

export class FuseServer implements AsyncDisposable {
  readonly #options: FuseServerOptions;
  readonly #limits: Limits;
  readonly #mountPoint: string;
  readonly #channel: Channel;
  readonly #session: FuseSession;
  readonly #ended = new Deferred<FuseEnd>();
  readonly #deviceClosed = new Deferred<void>();
  /** Why no requests are read, where none are. */
  readonly #pauses = new Set<'full' | 'held'>();
  /** While the kernel may still send requests. */
  #served = true;
  #failed = false;
  #canBeTakenOver = false;
  #aborting: Promise<void> | undefined;
  #disposed: Promise<void> | undefined;

  /**
   * Mounts and serves. Resolves when kernel and server have agreed, so that the path can be used. From then on this process
   * must not touch a path under the mount point by a synchronous call: it would wait for itself. That includes starting a
   * program that lies there, or with a working directory there (Node waits until the child has become the program).
   *
   * @throws FUSE_NO_DEVICE, FUSE_NOT_PERMITTED, FUSE_NO_MOUNT_POINT, FUSE_ALREADY_MOUNTED, FUSE_NO_MOUNT_PROGRAM,
   *   FUSE_MOUNT_FAILED, FUSE_NO_EPOLL, FUSE_KERNEL_TOO_OLD, KERNEL_DEADLINE
   */
  static async mount(options: FuseServerOptions): Promise<FuseServer> {
    const limits = { timeoutMs: options.timeoutMs ?? 10_000, clock: options.clock };
    const mounted = await mount({
      ...limits,
      mountPoint: options.mountPoint,
      source: options.source ?? 'rokka',
      ...(options.device === undefined ? {} : { device: options.device }),
      ...(options.fd === undefined ? {} : { fd: options.fd }),
    });
    const server = await FuseServer.#begin(options, limits, mounted);
    try {
      const { clock, timeoutMs: ms } = limits;
      const { resends } = await deadline(server.#session.begun, { what: 'FUSE INIT', ms, clock });
      server.#canBeTakenOver = resends && options.legacy !== undefined;
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Goes on for a server on the same mount whose process was killed: the kernel sends again what that one has not answered. Nothing that it
   * did answer may be missing in `handler`.
   *
   * @param options.mountPoint as the server before had it: absolute, without symbolic links
   * @throws FUSE_NO_EPOLL, FUSE_CHANNEL_FAILED. Where the mount is gone, it ends like any other.
   */
  static takeOver(options: FuseServerOptions & { fd: number; legacy: Legacy }): FuseServer {
    const { fd, mountPoint, clock, timeoutMs = 10_000 } = options;
    demandResend(fd);
    const server = new FuseServer(options, { timeoutMs, clock }, { fd, mountPoint }, { takesOver: true });
    server.#canBeTakenOver = true;
    return server;
  }

  /** A mount whose device cannot be read must not stay. */
  static async #begin(options: FuseServerOptions, limits: Limits, mounted: Mounted): Promise<FuseServer> {
    try {
      return new FuseServer(options, limits, mounted);
    } catch (error) {
      fs.closeSync(mounted.fd);
      await unmount(mounted.mountPoint, { ...limits, how: 'lazy' });
      throw error;
    }
  }

  private constructor(
    options: FuseServerOptions,
    limits: Limits,
    mounted: Mounted,
    { takesOver = false }: { takesOver?: boolean } = {},
  ) {
    this.#options = options;
    this.#limits = limits;
    this.#mountPoint = mounted.mountPoint;
    this.#session = new FuseSession({
      handler: options.handler,
      cache: options.cache ?? 'direct',
      send: (reply, length) => this.#channel.reply(reply, length),
      onFailure: (error) => this.#onFailure(error),
      onFull: () => this.#pause('full'),
      onRoom: () => this.#resume('full'),
      legacy: options.legacy,
      takesOver,
    });
    this.#channel = new Channel(mounted.fd, {
      reader: options.reader ?? 'auto',
      poolReads: options.poolReads ?? 2,
      events: {
        onRequest: (bytes, length) => this.#session.onRequest(bytes, length),
        onEnd: (reason) => this.#onEnd(reason),
      },
    });
  }

  /** Absolute, without symbolic links. */
  get mountPoint(): string {
    return this.#mountPoint;
  }

  /** Resolves when the kernel has let go of the mount, or as soon as the mount has failed. Never rejects. */
  get ended(): Promise<FuseEnd> {
    return this.#ended.promise;
  }

  /** Whether another server can go on from here when this process is killed. */
  get canBeTakenOver(): boolean {
    return this.#canBeTakenOver && this.#served && !this.#failed;
  }

  get readerKind(): 'epoll' | 'pool' {
    return this.#channel.readerKind;
  }

  statistics(): FuseStatistics {
    return this.#session.statistics();
  }

  /**
   * From when this returns until `release`, nothing that anybody asks of the mount is begun: the filesystem stands still, but for
   * requests that came before. Callers wait.
   */
  hold(): void {
    this.#pause('held');
    this.#session.hold();
  }

  release(): void {
    this.#session.release();
    this.#resume('held');
  }

  #pause(why: 'full' | 'held'): void {
    if (this.#pauses.size === 0) this.#channel.pause();
    this.#pauses.add(why);
  }

  #resume(why: 'full' | 'held'): void {
    if (this.#pauses.delete(why) && this.#pauses.size === 0) this.#channel.resume();
  }

  /**
   * Unmounts: cleanly where nothing is open, else by force, so that whoever still uses a file gets errors. After a clean
   * end all that was written is durable, as with any filesystem. Never rejects; what goes wrong is logged.
   */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposed ??= this.#dispose();
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    this.#canBeTakenOver = false;
    // Unmounting asks the filesystem, too.
    this.release();
    if (this.#served && !this.#aborting) {
      try {
        await unmount(this.#mountPoint, { ...this.#limits, how: 'clean' });
      } catch (error) {
        this.#log(`unmounting by force: ${describeError(error)}`);
        this.#aborting = this.#abort();
      }
    }
    await this.#aborting;
    // Other mount namespaces may still show a copy of the mount: closing the device ends those too.
    this.#channel.close();
    await this.#within('closing the device', this.#deviceClosed.promise);
    if (this.#failed) return;
    await this.#within('making the last writes durable', this.#makeDurable());
  }

  async #makeDurable(): Promise<void> {
    const { handler } = this.#options;
    for (;;) {
      try {
        return await handler.syncAll();
      } catch (error) {
        const ready = handler.readyAfter(error);
        if (!ready) throw error;
        await ready;
      }
    }
  }

  #onFailure(error: unknown): void {
    this.#failed = true;
    this.#log(`the mount fails, it answers EIO from now on: ${describeError(error)}`);
    this.#ended.resolve({ kind: 'failed', error });
    this.#aborting ??= this.#abort();
  }

  #onEnd(reason: Error | undefined): void {
    this.#served = false;
    this.#deviceClosed.resolve();
    if (!reason) this.#ended.resolve({ kind: 'unmounted' });
    else this.#session.fail(fuseErrors.FUSE_CHANNEL_FAILED([reason.message], { cause: reason }));
  }

  /** Makes the path free and fails whoever still uses the mount. Never rejects. */
  async #abort(): Promise<void> {
    for (const how of ['abort', 'lazy'] as const) {
      try {
        return await unmount(this.#mountPoint, { ...this.#limits, how });
      } catch (error) {
        this.#log(`unmounting (${how}): ${describeError(error)}`);
      }
    }
  }

  async #within(what: string, work: Promise<void>): Promise<void> {
    try {
      await deadline(work, { what, ms: this.#limits.timeoutMs, clock: this.#limits.clock });
    } catch (error) {
      this.#log(describeError(error));
    }
  }

  #log(text: string): void {
    this.#options.log(`fuse ${this.#mountPoint}: ${text}`);
  }
}

/** @throws FUSE_CHANNEL_FAILED */
function demandResend(fd: number): void {
  const message = Buffer.alloc(OUT_HEADER.BYTES);
  message.writeUInt32LE(OUT_HEADER.BYTES, OUT_HEADER.LENGTH);
  message.writeInt32LE(NOTIFY_RESEND, OUT_HEADER.ERROR);
  try {
    fs.writeSync(fd, message);
  } catch (cause) {
    const { message: words } = cause as Error;
    throw fuseErrors.FUSE_CHANNEL_FAILED([words], { cause });
  }
}
