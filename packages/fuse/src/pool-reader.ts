/**
 * Reads the device by reads that wait in libuv's thread pool. The descriptor may only be closed when none of them waits any
 * more: its number would be given to another file while a thread still reads from it. They end when the filesystem is
 * unmounted or its connection aborted, so `close` only says what is to be done then.
 */
import * as fs from 'node:fs';
import { assert } from '@rokka/kernel';
import type { ChannelEvents, DeviceReader } from './channel.ts';
import { REQUEST_BYTES_MAX } from './protocol.ts';

/** A signal came, nothing was there after all, or the request was interrupted while it was read: read again. */
const AGAIN = new Set(['EINTR', 'EAGAIN', 'ENOENT']);

export class PoolReader implements DeviceReader {
  readonly kind = 'pool';
  readonly #fd: number;
  readonly #events: ChannelEvents;
  readonly #idle: Buffer[];
  #waiting = 0;
  #paused = false;
  #ending = false;
  #closed = false;
  #reason: Error | undefined;

  constructor(fd: number, options: { reads: number; events: ChannelEvents }) {
    assert(options.reads >= 1, 'at least one read must wait');
    this.#fd = fd;
    this.#events = options.events;
    this.#idle = Array.from({ length: options.reads }, () => Buffer.alloc(REQUEST_BYTES_MAX));
    this.#readOn();
  }

  get open(): boolean {
    return !this.#closed;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#readOn();
  }

  close(): void {
    this.#ending = true;
    this.#finish();
  }

  #readOn(): void {
    while (!this.#paused && !this.#ending) {
      const buffer = this.#idle.pop();
      if (!buffer) return;
      this.#waiting++;
      fs.read(this.#fd, buffer, 0, buffer.length, null, (error, length) =>
        this.#onRead(buffer, error, length),
      );
    }
  }

  #onRead(buffer: Buffer, error: NodeJS.ErrnoException | null, length: number): void {
    this.#waiting--;
    if (!error) this.#events.onRequest(buffer, length);
    else if (!AGAIN.has(error.code ?? '')) {
      this.#ending = true;
      if (error.code !== 'ENODEV') this.#reason = error;
    }
    this.#idle.push(buffer);
    this.#readOn();
    this.#finish();
  }

  #finish(): void {
    if (!this.#ending || this.#waiting > 0 || this.#closed) return;
    this.#closed = true;
    fs.closeSync(this.#fd);
    this.#events.onEnd(this.#reason);
  }
}
