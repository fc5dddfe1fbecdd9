/**
 * Reads the device through Node's poller: a pipe handle takes any descriptor that can be polled, and a socket over it reads
 * into one buffer of ours. (`new net.Socket({ fd })` refuses, because libuv takes a character device for a file.)
 *
 * A read error other than "try again" makes the socket close the descriptor. That is right: the kernel gives none on a
 * device that still serves a mount, and closing it fails the mount instead of leaving it hanging.
 */
import * as net from 'node:net';
import type { ChannelEvents, DeviceReader } from './channel.ts';
import { fuseErrors } from './errors.ts';
import { REQUEST_BYTES_MAX } from './protocol.ts';

interface PipeHandle {
  open(fd: number): number;
}

interface PipeType {
  new (type: number): PipeHandle;
}

/** pipe_wrap's constants.SOCKET: a pipe that carries bytes, neither a server nor descriptors. */
const PIPE_SOCKET = 0;

export class EpollReader implements DeviceReader {
  readonly kind = 'epoll';
  readonly #socket: net.Socket;

  constructor(fd: number, options: { Pipe: PipeType; events: ChannelEvents }) {
    const { events } = options;
    const handle = new options.Pipe(PIPE_SOCKET);
    const failure = handle.open(fd);
    if (failure) throw fuseErrors.FUSE_NO_EPOLL([`error ${failure} from the pipe handle`]);
    // Filled, so that its memory is there: where this process is killed while the kernel would still have to get it, a request is lost.
    const buffer = Buffer.alloc(REQUEST_BYTES_MAX, 1);
    let reason: Error | undefined;
    const onread = {
      buffer,
      callback: (length: number) => {
        events.onRequest(buffer, length);
        return true;
      },
    };
    this.#socket = new net.Socket({
      handle,
      readable: true,
      writable: false,
      manualStart: true,
      onread,
    } as unknown as net.SocketConstructorOpts);
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENODEV') reason = error;
    });
    this.#socket.on('close', () => events.onEnd(reason));
    this.#socket.resume();
    this.#socket.read(0);
  }

  /** Node's pipe handle, or undefined where this Node does not give it out. */
  static findPipe(): PipeType | undefined {
    const inner = process as unknown as {
      noDeprecation?: boolean;
      binding?: (name: string) => { Pipe?: PipeType };
    };
    const before = inner.noDeprecation;
    try {
      // Under --pending-deprecation the call would warn; whoever runs Rokka can do nothing about it.
      inner.noDeprecation = true;
      return inner.binding?.('pipe_wrap').Pipe;
    } catch {
      return undefined;
    } finally {
      if (before === undefined) delete inner.noDeprecation;
      else inner.noDeprecation = before;
    }
  }

  /** A destroyed socket has closed the descriptor, although its close event is still to come. */
  get open(): boolean {
    return !this.#socket.destroyed;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }
}
