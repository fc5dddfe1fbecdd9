/** What a server answers to requests that the one before it, which was killed, may have carried out. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, suite, test } from 'node:test';
import { FileSystem, ROOT_INO } from '@rokka/filesystem';
import { SeededRandom, systemClock } from '@rokka/kernel';
import { MemoryPageStore } from '@rokka/volume';
import { FileSystemHandler } from './filesystem-handler.ts';
import type { ChangeLog } from './legacy.ts';
import { OpenCounts } from './open-counts.ts';
import { TouchedRows } from './touched-rows.ts';
import { ERRNO, FATTR, O_DSYNC, OPCODE, ROOT_ID } from './protocol.ts';
import { FuseSession } from './session.ts';
import {
  decodeReply,
  encodeRequest,
  readBody,
  writeBody,
  type Reply,
  type RequestFields,
  text,
  u32,
  u64,
} from './testing/requests.ts';

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-resent-'));
after(() => fs.rmSync(directory, { recursive: true }));
const RESENT = 1n << 63n;

/** What a volume's log in memory does, over pages in memory: who asked for each change. */
class Changes implements ChangeLog {
  origin = 0n;
  readonly settled = new Set<bigint>();
  ended = false;

  isSettled(origin: bigint): boolean {
    return this.settled.has(origin);
  }

  end(): void {
    this.ended = true;
  }
}

/** A mount whose server may be killed at any request, before it has answered. */
class Bench implements Disposable {
  readonly #fds: readonly number[];
  readonly #store = new MemoryPageStore();
  readonly changes = new Changes();
  readonly sent: Reply[] = [];
  #session: FuseSession;
  filesystem: FileSystem;
  #unique = 0n;

  constructor(name: string) {
    this.#fds = ['opens', 'touched'].map((what) =>
      fs.openSync(path.join(directory, `${name}-${what}`), 'w+'),
    );
    FileSystem.format(this.#store, { clock: systemClock, random: new SeededRandom(1) });
    const apply = this.#store.apply.bind(this.#store);
    this.#store.apply = (writes) => {
      const ticket = apply(writes);
      if (this.changes.origin !== 0n) this.changes.settled.add(this.changes.origin);
      return ticket;
    };
    const opens = new OpenCounts(this.#fds[0]);
    const touched = new TouchedRows(this.#fds[1]);
    for (const part of [opens, touched]) part.begin();
    this.filesystem = FileSystem.mount(this.#store, { clock: systemClock, touched });
    this.#session = this.#newSession({ opens, touched }, false);
  }

  /** The server is killed, and another one takes over. */
  takeOver(): void {
    const opens = new OpenCounts(this.#fds[0]);
    const touched = new TouchedRows(this.#fds[1]);
    const opened = opens.inherit() as ReadonlyMap<typeof ROOT_INO, number>;
    const inherited = { opened, touched: touched.inherit() };
    this.filesystem = FileSystem.mount(this.#store, { clock: systemClock, inherited, touched });
    this.#session = this.#newSession({ opens, touched }, true);
  }

  ask(opcode: number, fields: RequestFields = {}): Reply {
    this.#unique += 2n;
    return this.send(opcode, { unique: this.#unique, ...fields });
  }

  /** Carried out and not answered, taken over, and sent again: what the caller gets in the end. */
  askThroughDeath(opcode: number, fields: RequestFields = {}): Reply {
    const { unique } = this.ask(opcode, fields);
    this.takeOver();
    return this.send(opcode, { ...fields, unique: unique | RESENT });
  }

  /** How often it is open, as whoever takes over will find it. */
  opens(ino: number): number {
    return new OpenCounts(this.#fds[0]).inherit().get(ino) ?? 0;
  }

  give(bytes: Buffer): void {
    this.#session.onRequest(bytes, bytes.length);
  }

  send(opcode: number, fields: RequestFields): Reply {
    const bytes = encodeRequest(opcode, fields);
    this.#session.onRequest(bytes, bytes.length);
    const reply = this.sent.at(-1);
    assert.ok(reply && reply.unique === fields.unique, 'it is answered at once');
    return reply;
  }

  #newSession(parts: { opens: OpenCounts; touched: TouchedRows }, takesOver: boolean): FuseSession {
    return new FuseSession({
      handler: new FileSystemHandler({ filesystem: this.filesystem, store: this.#store }),
      cache: 'direct',
      send: (bytes, length) => this.sent.push(decodeReply(Buffer.from(bytes.subarray(0, length)))),
      onFailure: (error) => assert.fail(error as Error),
      onFull: () => {},
      onRoom: () => {},
      legacy: { changes: this.changes, ...parts },
      takesOver,
    });
  }

  [Symbol.dispose](): void {
    for (const fd of this.#fds) fs.closeSync(fd);
  }
}

const createBody = (name: string) => Buffer.concat([u32(2 | 0o200, 0o644, 0, 0), text(name)]);
const OPEN_BODY = u32(2, 0);
const inoOf = (reply: Reply) => Number(reply.body.readBigUInt64LE(0));
const names = ({ filesystem }: Bench) =>
  filesystem
    .list(ROOT_INO)
    .map(({ name }) => name)
    .slice(2)
    .sort();

suite('what was carried out and not answered', () => {
  test('is done once, and answered as it would have been', () => {
    using bench = new Bench('names');
    const made = bench.askThroughDeath(OPCODE.CREATE, { body: createBody('a') });
    assert.equal(made.errno, 0, 'O_EXCL must not meet its own file');
    assert.equal(
      bench.askThroughDeath(OPCODE.MKDIR, { body: Buffer.concat([u32(0o755, 0), text('d')]) }).errno,
      0,
    );
    assert.equal(bench.askThroughDeath(OPCODE.SYMLINK, { body: text('s', 'target') }).errno, 0);
    assert.equal(
      bench.askThroughDeath(OPCODE.MKNOD, { body: Buffer.concat([u32(0o100644, 0, 0, 0), text('n')]) }).errno,
      0,
    );
    const linked = bench.askThroughDeath(OPCODE.LINK, { body: Buffer.concat([u64(inoOf(made)), text('l')]) });
    assert.deepEqual([linked.errno, inoOf(linked)], [0, inoOf(made)]);
    assert.deepEqual(names(bench), ['a', 'd', 'l', 'n', 's']);
    const rename = Buffer.concat([u64(ROOT_ID), text('a', 'b')]);
    assert.equal(bench.askThroughDeath(OPCODE.RENAME, { body: rename }).errno, 0);
    const exchange = Buffer.concat([u64(ROOT_ID), u32(2, 0), text('b', 'n')]);
    assert.equal(bench.askThroughDeath(OPCODE.RENAME2, { body: exchange }).errno, 0);
    assert.equal(
      inoOf(bench.ask(OPCODE.LOOKUP, { body: text('n') })),
      inoOf(made),
      'exchanged once, not twice',
    );
    assert.equal(bench.askThroughDeath(OPCODE.UNLINK, { body: text('l') }).errno, 0);
    assert.equal(bench.askThroughDeath(OPCODE.RMDIR, { body: text('d') }).errno, 0);
    assert.deepEqual(names(bench), ['b', 'n', 's']);
  });

  test('and a refusal is one again', () => {
    using bench = new Bench('refusals');
    assert.equal(bench.askThroughDeath(OPCODE.UNLINK, { body: text('none') }).errno, ERRNO.ENOENT);
    bench.ask(OPCODE.CREATE, { body: createBody('a') });
    assert.equal(bench.askThroughDeath(OPCODE.CREATE, { body: createBody('a') }).errno, ERRNO.EEXIST);
  });

  test('a file without a name stays for as long as it is open, whoever serves it', () => {
    using bench = new Bench('orphan');
    const ino = inoOf(bench.askThroughDeath(OPCODE.CREATE, { body: createBody('a') }));
    assert.equal(bench.askThroughDeath(OPCODE.OPEN, { nodeId: ino, body: OPEN_BODY }).errno, 0);
    assert.equal(bench.opens(ino), 2);
    bench.ask(OPCODE.UNLINK, { body: text('a') });
    bench.takeOver();
    assert.equal(bench.ask(OPCODE.GETATTR, { nodeId: ino }).errno, 0);
    assert.equal(bench.askThroughDeath(OPCODE.RELEASE, { nodeId: ino, body: u64(0, 0, 0) }).errno, 0);
    assert.equal(bench.ask(OPCODE.GETATTR, { nodeId: ino }).errno, 0, 'it was opened twice');
    assert.equal(bench.opens(ino), 1);
    assert.equal(bench.askThroughDeath(OPCODE.RELEASE, { nodeId: ino, body: u64(0, 0, 0) }).errno, 0);
    assert.notEqual(bench.ask(OPCODE.GETATTR, { nodeId: ino }).errno, 0, 'and goes with its last opening');
  });

  test('a write that waited to be durable is not done over what came after it', () => {
    using bench = new Bench('writes');
    const nodeId = inoOf(bench.ask(OPCODE.CREATE, { body: createBody('a') }));
    const first = writeBody(0, Buffer.from('1'), { flags: O_DSYNC });
    const { unique } = bench.ask(OPCODE.WRITE, { nodeId, body: first });
    bench.ask(OPCODE.WRITE, { nodeId, body: writeBody(0, Buffer.from('2')) });
    bench.takeOver();
    const again = bench.send(OPCODE.WRITE, { nodeId, body: first, unique: unique | RESENT });
    assert.deepEqual([again.errno, again.body.readUInt32LE(0)], [0, 1]);
    assert.equal(bench.ask(OPCODE.READ, { nodeId, body: readBody(0, 10) }).body.toString(), '2');
  });

  test('times never go back: a write shows in them, and those that were set are kept', () => {
    using bench = new Bench('times');
    const nodeId = inoOf(bench.ask(OPCODE.CREATE, { body: createBody('a') }));
    const mtime = (reply: Reply) =>
      Number(reply.body.readBigUInt64LE(16 + 32)) + reply.body.readUInt32LE(16 + 52) / 1e9;
    bench.ask(OPCODE.WRITE, { nodeId, body: writeBody(0, Buffer.alloc(8192)) });
    const set = Buffer.alloc(88);
    set.writeUInt32LE(FATTR.MTIME, 0);
    set.writeBigUInt64LE(1_000_000_000n, 40);
    assert.equal(mtime(bench.ask(OPCODE.SETATTR, { nodeId, body: set })), 1_000_000_000);
    bench.takeOver();
    assert.equal(mtime(bench.ask(OPCODE.GETATTR, { nodeId })), 1_000_000_000);
    bench.ask(OPCODE.WRITE, { nodeId, body: writeBody(0, Buffer.alloc(10)) });
    const written = mtime(bench.ask(OPCODE.GETATTR, { nodeId }));
    assert.ok(written > 1_000_000_000);
    for (let i = 0; i < 2; i++) {
      bench.takeOver();
      assert.ok(mtime(bench.ask(OPCODE.GETATTR, { nodeId })) >= written);
    }
    bench.filesystem.syncAll();
    const synced = mtime(bench.ask(OPCODE.GETATTR, { nodeId }));
    bench.takeOver();
    assert.equal(mtime(bench.ask(OPCODE.GETATTR, { nodeId })), synced, 'it is on the volume');
  });

  test('what the kernel gives back of inodes that another server gave it is no mistake', () => {
    using bench = new Bench('forget');
    const ino = inoOf(bench.ask(OPCODE.CREATE, { body: createBody('a') }));
    bench.takeOver();
    const before = bench.sent.length;
    const forget = encodeRequest(OPCODE.FORGET, { unique: 1_000n, nodeId: ino, body: u64(5) });
    bench.give(forget);
    assert.equal(bench.sent.length, before);
    assert.equal(bench.ask(OPCODE.GETATTR, { nodeId: ino }).errno, 0);
  });
});
