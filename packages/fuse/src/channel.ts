/**
 * The open device: requests come in, replies go out, and its end is the end of the mount. One read(2) takes one request,
 * one write(2) gives one whole reply.
 *
 * Two ways to read, because neither is perfect:
 * - `epoll`: Node's own poller watches the device. Fast (no thread between kernel and JavaScript) and never in the way of
 *   others, but it needs `process.binding`, an old inner door of Node that may close one day.
 * - `pool`: reads that wait in libuv's thread pool, public interfaces only. Each takes a pool thread for good, so files and
 *   DNS of the same process may wait for a thread: set UV_THREADPOOL_SIZE to at least `poolReads` + 4.
 */
import * as fs from 'node:fs';
import { assert } from '@rokka/kernel';
import { EpollReader } from './epoll-reader.ts';
import { fuseErrors } from './errors.ts';
import { PoolReader } from './pool-reader.ts';

export type ReaderKind = 'auto' | 'epoll' | 'pool';

export interface ChannelEvents {
  /** A request in the first `length` of `bytes`, which are only valid during the call. */
  onRequest(bytes: Buffer, length: number): void;
  /** Once, last. Without a reason: the filesystem was unmounted. */
  onEnd(reason?: Error): void;
}

/** Reads until the device ends, then closes it: from the start on it owns the descriptor. */
export interface DeviceReader {
  readonly kind: 'epoll' | 'pool';
  /** False once the descriptor is closed or about to be: its number may already be another file's. */
  readonly open: boolean;
  /** No more requests until `resume`, but for those that have been read already. */
  pause(): void;
  resume(): void;
  /** Gives the device up. Requests that the kernel still waits for fail there with ECONNABORTED. */
  close(): void;
}

export class Channel {
  readonly #fd: number;
  readonly #reader: DeviceReader;

  /** Takes the descriptor over. The device must be mounted already. @throws FUSE_NO_EPOLL */
  constructor(fd: number, options: { reader: ReaderKind; poolReads: number; events: ChannelEvents }) {
    this.#fd = fd;
    this.#reader = startReader(fd, options);
  }

  get readerKind(): 'epoll' | 'pool' {
    return this.#reader.kind;
  }

  /**
   * Gives a reply to the kernel. A reply that nobody waits for any more (ENOENT: interrupted; ENODEV and EPERM: unmounted)
   * is dropped; a malformed one is our own mistake.
   */
  reply(bytes: Buffer, length: number): void {
    if (!this.#reader.open) return;
    try {
      const written = fs.writeSync(this.#fd, bytes, 0, length);
      assert(written === length, () => `the kernel took ${written} of ${length} bytes of a reply`);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === 'ENOENT' || code === 'ENODEV' || code === 'EPERM' || code === 'ECONNABORTED') return;
      throw error;
    }
  }

  pause(): void {
    this.#reader.pause();
  }

  resume(): void {
    this.#reader.resume();
  }

  close(): void {
    this.#reader.close();
  }
}

function startReader(
  fd: number,
  options: { reader: ReaderKind; poolReads: number; events: ChannelEvents },
): DeviceReader {
  const { reader, poolReads, events } = options;
  if (reader === 'pool') return new PoolReader(fd, { reads: poolReads, events });
  const Pipe = EpollReader.findPipe();
  if (Pipe) return new EpollReader(fd, { Pipe, events });
  if (reader === 'epoll') throw fuseErrors.FUSE_NO_EPOLL(['process.binding gives no pipe_wrap']);
  return new PoolReader(fd, { reads: poolReads, events });
}
