/**
 * The few lines of the Redis protocol that a writer needs (RESP2, redis.io/docs/latest/develop/reference/protocol-spec): commands
 * go out as arrays of bulk strings, answers come back in their order. After a failure, or an aborted command, the connection is
 * closed: nobody knows any more which answer is whose.
 */
import * as net from 'node:net';
import { describeError } from '@rokka/kernel';
import { snapshotErrors } from '../../errors.ts';

export type Reply = string | number | null | Reply[] | ReplyError;

/** An answer that says no; `words` are the server's. */
export class ReplyError {
  readonly words: string;

  constructor(words: string) {
    this.words = words;
  }
}

export interface RedisAddress {
  /** For messages. */
  readonly server: string;
  readonly at: { readonly path: string } | { readonly port: number };
  readonly user?: string;
  readonly password?: string;
}

/** Whoever answers may be anybody who calls himself a server. */
const REPLY_BYTES_MAX = 16 * 1024 * 1024;
const DEPTH_MAX = 8;

interface Waiting {
  resolve(reply: Reply): void;
  reject(error: unknown): void;
}

export class RedisClient implements AsyncDisposable {
  readonly #server: string;
  readonly #socket: net.Socket;
  readonly #waiting: Waiting[] = [];
  #received = Buffer.alloc(0);
  #failure: Error | undefined;

  private constructor(server: string, socket: net.Socket) {
    this.#server = server;
    this.#socket = socket;
    socket.on('data', (chunk) => this.#onData(chunk));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the connection was closed')));
  }

  /** @throws SNAPSHOTS_SERVER_SILENT */
  static async open(address: RedisAddress, signal: AbortSignal): Promise<RedisClient> {
    const { server, at, user, password } = address;
    const client = new RedisClient(server, net.connect({ host: '127.0.0.1', ...at }));
    try {
      if (password !== undefined) await client.command(['AUTH', ...(user ? [user] : []), password], signal);
      await client.command(['PING'], signal);
      return client;
    } catch (error) {
      client.close();
      signal.throwIfAborted();
      throw snapshotErrors.SNAPSHOTS_SERVER_SILENT([server, describeError(error)], { cause: error });
    }
  }

  /**
   * Without a signal the wait ends with the connection, which somebody must see to.
   *
   * @throws SNAPSHOTS_SERVER_REFUSED where it says no or the connection ends; the signal's reason
   */
  async command(words: readonly string[], signal?: AbortSignal): Promise<Exclude<Reply, ReplyError>> {
    signal?.throwIfAborted();
    // The rest may be a password.
    const refused = (why: string, cause?: unknown) =>
      snapshotErrors.SNAPSHOTS_SERVER_REFUSED([this.#server, words[0], why], { cause });
    if (this.#failure) throw refused(this.#failure.message, this.#failure);
    const aborted = () => this.close();
    signal?.addEventListener('abort', aborted, { once: true });
    try {
      const reply = await new Promise<Reply>((resolve, reject) => {
        this.#waiting.push({ resolve, reject });
        this.#socket.write(encodeCommand(words));
      });
      if (reply instanceof ReplyError) throw new Error(reply.words);
      return reply;
    } catch (error) {
      signal?.throwIfAborted();
      throw refused((error as Error).message, error);
    } finally {
      signal?.removeEventListener('abort', aborted);
    }
  }

  /** `INFO` of the sections as a record. */
  async info(signal: AbortSignal): Promise<Info> {
    const reply = await this.command(['INFO'], signal);
    return parseInfo(typeof reply === 'string' ? reply : '');
  }

  close(): void {
    this.#fail(new Error('the connection was closed'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #onData(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    for (;;) {
      const parsed = parseReply(this.#received, 0);
      if (!parsed && this.#received.length > REPLY_BYTES_MAX)
        return this.#fail(new Error(`it answers with more than ${REPLY_BYTES_MAX} bytes`));
      if (!parsed) return;
      this.#received = this.#received.subarray(parsed.end);
      this.#waiting.shift()?.resolve(parsed.reply);
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#socket.destroy();
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#failure);
  }
}

export type Info = Readonly<Record<string, string>>;

export function parseInfo(text: string): Info {
  const lines = text.split('\r\n').filter((line) => line.includes(':'));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  );
}

export function encodeCommand(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}

/** The reply that begins at `at` and where it ends; undefined while it is not whole. */
export function parseReply(bytes: Buffer, at: number, depth = 0): { reply: Reply; end: number } | undefined {
  const lineEnd = bytes.indexOf('\r\n', at);
  if (lineEnd < 0) return undefined;
  const line = bytes.toString('utf8', at + 1, lineEnd);
  const next = lineEnd + 2;
  const type = String.fromCharCode(bytes[at]);
  // It is no count, or no server nests so deep: then all that follows is nothing that can be read.
  const isOdd = depth > DEPTH_MAX || ('$*'.includes(type) && !/^(-1|\d{1,9})$/.test(line));
  switch (isOdd ? '' : type) {
    case '+':
      return { reply: line, end: next };
    case '-':
      return { reply: new ReplyError(line), end: next };
    case ':':
      return { reply: Number(line), end: next };
    case '$': {
      const length = Number(line);
      if (length < 0) return { reply: null, end: next };
      const end = next + length + 2;
      return bytes.length < end ? undefined : { reply: bytes.toString('utf8', next, next + length), end };
    }
    case '*': {
      const items: Reply[] = [];
      let end = next;
      for (let count = Number(line); items.length < count;) {
        const item = parseReply(bytes, end, depth + 1);
        if (!item) return undefined;
        items.push(item.reply);
        end = item.end;
      }
      return { reply: items, end };
    }
    default:
      return {
        reply: new ReplyError(`this is not the Redis protocol: ${line.slice(0, 40)}`),
        end: bytes.length,
      };
  }
}
