import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { AssertionError, Deferred, isCoded } from '@rokka/kernel';
import { ERRNO, IO_BYTES_MAX, O_DSYNC, OPCODE } from './protocol.ts';
import { readBody, SessionBench, text, u32, u64, writeBody } from './testing/requests.ts';
import { NotYet, Refusal } from './testing/tiny-handler.ts';

const turn = () => new Promise<void>((resolve) => queueMicrotask(() => queueMicrotask(resolve)));
const INIT_BODY = u32(7, 45, 131_072, 0x7fffffff, 0xffff, ...new Array<number>(11).fill(0));
const FSYNC_BODY = Buffer.concat([u64(0), u32(1, 0)]);
const TEN_BYTES = Buffer.from('0123456789');

/** Makes the next call of `operation` wait for what is returned. */
function waitOnce(bench: SessionBench, operation: string): Deferred<void> {
  const ready = new Deferred<void>();
  let waited = false;
  bench.handler.before = (name) => {
    if (name !== operation || waited) return;
    waited = true;
    throw new NotYet(ready.promise);
  };
  return ready;
}

suite('a session', () => {
  test('begins with INIT', async () => {
    const bench = new SessionBench();
    const reply = bench.ask(OPCODE.INIT, { body: INIT_BODY });
    assert.equal(reply.errno, 0);
    assert.equal(reply.body.length, 64);
    assert.equal((await bench.session.begun).minor, 41);
  });

  test('refuses an old kernel and fails', async () => {
    const bench = new SessionBench();
    assert.equal(bench.ask(OPCODE.INIT, { body: u32(7, 8, 0, 0) }).errno, ERRNO.EPROTO);
    await assert.rejects(bench.session.begun, (error) => isCoded(error, 'FUSE_KERNEL_TOO_OLD'));
    assert.equal(bench.told.length, 1);
  });

  test('writes, reads back, tells errors of the filesystem', () => {
    const bench = new SessionBench();
    const nodeId = bench.create('a');
    const written = bench.ask(OPCODE.WRITE, { nodeId, body: writeBody(2, TEN_BYTES) });
    assert.deepEqual([written.errno, written.body.readUInt32LE(0)], [0, 10]);
    assert.deepEqual(bench.handler.writes, [{ ino: nodeId, offset: 2, length: 10 }]);
    const read = bench.ask(OPCODE.READ, { nodeId, body: readBody(0, 4096) });
    assert.equal(read.body.toString(), '\0\x000123456789');
    assert.equal(bench.ask(OPCODE.UNLINK, { body: text('none') }).errno, ERRNO.ENOENT);
    assert.equal(bench.ask(OPCODE.GETATTR, { nodeId: 77 }).errno, ERRNO.ENOENT);
  });

  test('says ENOSYS to what it does not know, but never to FSYNC', () => {
    const bench = new SessionBench();
    assert.equal(bench.ask(OPCODE.GETXATTR).errno, ERRNO.ENOSYS);
    assert.equal(bench.ask(4000).errno, ERRNO.ENOSYS);
    for (const opcode of [OPCODE.FSYNC, OPCODE.FSYNCDIR, OPCODE.FLUSH])
      assert.equal(bench.ask(opcode, { body: FSYNC_BODY }).errno, 0);
  });

  test('refuses what FALLOCATE and RENAME2 cannot do', () => {
    const bench = new SessionBench();
    const fallocate = Buffer.concat([u64(0, 0, 4096), u32(0x08, 0)]);
    assert.equal(bench.ask(OPCODE.FALLOCATE, { body: fallocate }).errno, ERRNO.EOPNOTSUPP);
    const whiteout = Buffer.concat([u64(1), u32(4, 0), text('a', 'b')]);
    assert.equal(bench.ask(OPCODE.RENAME2, { body: whiteout }).errno, ERRNO.EINVAL);
  });

  test('answers FSYNC, and WRITE under O_DSYNC, when all is durable; others go on', async () => {
    const bench = new SessionBench();
    const nodeId = bench.create('a');
    const durable = new Deferred<void>();
    bench.handler.durable = durable.promise;
    const before = bench.sent.length;
    const fsync = bench.request(OPCODE.FSYNC, { nodeId, body: FSYNC_BODY });
    const body = writeBody(0, TEN_BYTES, { flags: O_DSYNC });
    const write = bench.request(OPCODE.WRITE, { nodeId, body });
    assert.equal(bench.sent.length, before);
    assert.equal(bench.session.statistics().waiting, 2);
    assert.equal(bench.ask(OPCODE.WRITE, { nodeId, body: writeBody(0, TEN_BYTES) }).errno, 0);
    durable.resolve();
    await turn();
    const replies = bench.sent.slice(before + 1);
    assert.deepEqual(
      replies.map(({ unique, errno }) => [unique, errno]),
      [
        [fsync, 0],
        [write, 0],
      ],
    );
    assert.equal(replies[1]?.body.readUInt32LE(0), 10);
    assert.equal(bench.session.statistics().waiting, 0);
  });

  test('runs again what was not ready, from a copy of the request', async () => {
    const bench = new SessionBench();
    const nodeId = bench.create('a');
    const ready = waitOnce(bench, 'write');
    const unique = bench.request(OPCODE.WRITE, { nodeId, body: writeBody(0, TEN_BYTES) });
    assert.equal(bench.ask(OPCODE.GETATTR, { nodeId }).errno, 0);
    assert.equal(bench.handler.writes.length, 0);
    ready.resolve();
    await turn();
    assert.equal(bench.sent.at(-1)?.unique, unique);
    assert.equal(bench.handler.files.get('a')?.bytes.toString(), TEN_BYTES.toString());
  });

  test('held, begins nothing that comes, answers what came before, and goes on in order', async () => {
    const bench = new SessionBench();
    const nodeId = bench.create('a');
    const ready = waitOnce(bench, 'write');
    const early = bench.request(OPCODE.WRITE, { nodeId, body: writeBody(0, TEN_BYTES) });
    bench.session.hold();
    const before = bench.sent.length;
    const late = [
      bench.request(OPCODE.WRITE, { nodeId, body: writeBody(10, TEN_BYTES) }),
      bench.request(OPCODE.GETATTR, { nodeId }),
    ];
    ready.resolve();
    await turn();
    const uniques = () => bench.sent.slice(before).map(({ unique }) => unique);
    assert.deepEqual(uniques(), [early]);
    assert.equal(bench.handler.files.get('a')?.bytes.length, 10);
    bench.session.release();
    assert.deepEqual(uniques(), [early, ...late]);
    assert.equal(bench.handler.files.get('a')?.bytes.length, 20);
    assert.equal(bench.ask(OPCODE.GETATTR, { nodeId }).errno, 0);
  });

  test('one that fails while it is held answers what it held back', () => {
    const bench = new SessionBench();
    const nodeId = bench.create('a');
    bench.session.hold();
    const held = bench.request(OPCODE.WRITE, { nodeId, body: writeBody(0, TEN_BYTES) });
    bench.session.fail(new Error('fenced'));
    assert.deepEqual([bench.sent.at(-1)?.unique, bench.sent.at(-1)?.errno], [held, ERRNO.EIO]);
    assert.equal(bench.handler.files.get('a')?.bytes.length, 0);
  });

  test('ignores INTERRUPT: the wait goes on', async () => {
    const bench = new SessionBench();
    const durable = new Deferred<void>();
    bench.handler.durable = durable.promise;
    bench.request(OPCODE.FSYNC, { body: FSYNC_BODY });
    bench.request(OPCODE.INTERRUPT, { body: u64(2) });
    assert.equal(bench.sent.length, 0);
    durable.resolve();
    await turn();
    assert.deepEqual(
      bench.sent.map(({ errno }) => errno),
      [0],
    );
  });
});

suite('references of the kernel', () => {
  const entries = (bench: SessionBench) => bench.ask(OPCODE.READDIRPLUS, { body: readBody(0, 4096) });

  test('the filesystem is told when the last one is given back', () => {
    const bench = new SessionBench();
    const ino = bench.create('a');
    bench.ask(OPCODE.LOOKUP, { body: text('a') });
    entries(bench);
    assert.equal(bench.session.statistics().inodesHeld, 1);
    bench.request(OPCODE.FORGET, { nodeId: ino, body: u64(2) });
    assert.deepEqual(bench.handler.forgotten, []);
    bench.request(OPCODE.BATCH_FORGET, { body: Buffer.concat([u32(2, 0), u64(ino, 1), u64(1, 5)]) });
    assert.deepEqual(bench.handler.forgotten, [ino]);
    assert.equal(bench.session.statistics().inodesHeld, 0);
  });

  test('an entry that found no room counts for nothing', () => {
    const bench = new SessionBench();
    for (const name of ['a', 'b', 'c']) {
      const ino = bench.create(name);
      bench.request(OPCODE.FORGET, { nodeId: ino, body: u64(1) });
    }
    bench.ask(OPCODE.READDIRPLUS, { body: readBody(0, 4 * 160 + 100) });
    assert.equal(bench.session.statistics().inodesHeld, 2);
  });

  test('a forget that must wait is counted once, and dropped where the inode was looked up again', async () => {
    const bench = new SessionBench();
    const ino = bench.create('a');
    const ready = waitOnce(bench, 'forget');
    bench.request(OPCODE.FORGET, { nodeId: ino, body: u64(1) });
    bench.ask(OPCODE.LOOKUP, { body: text('a') });
    ready.resolve();
    await turn();
    assert.deepEqual(bench.handler.forgotten, []);
    bench.request(OPCODE.FORGET, { nodeId: ino, body: u64(1) });
    assert.deepEqual(bench.handler.forgotten, [ino]);
    assert.deepEqual(bench.told, []);
  });

  test('more given back than given fails the session', () => {
    const bench = new SessionBench();
    bench.request(OPCODE.FORGET, { nodeId: 99, body: u64(1) });
    assert.match(bench.told.join(), /gives back inode 99 1 times/);
  });
});

suite('failing stops', () => {
  test('a wait for durability that is lost fails everything, for ever', async () => {
    const bench = new SessionBench();
    const nodeId = bench.create('a');
    const never = new Deferred<void>();
    const lost = new Deferred<void>();
    bench.handler.durable = never.promise;
    const first = bench.request(OPCODE.FSYNC, { nodeId, body: FSYNC_BODY });
    bench.handler.durable = lost.promise;
    const second = bench.request(OPCODE.FSYNC, { nodeId, body: FSYNC_BODY });
    const before = bench.sent.length;
    lost.reject(new Error('fenced'));
    await turn();
    assert.deepEqual(bench.told, ['failed: fenced']);
    const answers = bench.sent.slice(before).map(({ unique, errno }) => [unique, errno]);
    assert.deepEqual(answers, [
      [second, ERRNO.EIO],
      [first, ERRNO.EIO],
    ]);
    const later = bench.ask(OPCODE.WRITE, { nodeId, body: writeBody(0, TEN_BYTES) });
    assert.equal(later.errno, ERRNO.EIO);
    assert.equal(bench.handler.writes.length, 0);
    never.resolve();
    await turn();
    assert.equal(bench.sent.length, before + 3);
  });

  test('even where the error is one that a caller could be told', async () => {
    const bench = new SessionBench();
    bench.handler.durable = Promise.reject(new Refusal(ERRNO.ENOSPC));
    bench.request(OPCODE.FSYNC, { body: FSYNC_BODY });
    await turn();
    assert.deepEqual(
      bench.sent.map(({ errno }) => errno),
      [ERRNO.EIO],
    );
    assert.equal(bench.told.length, 1);
  });

  test('a page that cannot be mapped is one caller’s error', async () => {
    const bench = new SessionBench();
    const ready = waitOnce(bench, 'lookup');
    bench.request(OPCODE.LOOKUP, { body: text('a') });
    ready.reject(new Refusal(ERRNO.ENOSPC));
    await turn();
    assert.deepEqual(
      bench.sent.map(({ errno }) => errno),
      [ERRNO.ENOSPC],
    );
    assert.deepEqual(bench.told, []);
  });

  test('a page that cannot be had fails everything, too', async () => {
    const bench = new SessionBench();
    const ready = waitOnce(bench, 'lookup');
    bench.request(OPCODE.LOOKUP, { body: text('a') });
    ready.reject(new Error('unreadable'));
    await turn();
    assert.deepEqual(
      bench.sent.map(({ errno }) => errno),
      [ERRNO.EIO],
    );
    assert.deepEqual(bench.told, ['failed: unreadable']);
  });

  test('and a broken invariant, which is answered EIO first', () => {
    const bench = new SessionBench();
    bench.handler.before = () => {
      throw new AssertionError('broken');
    };
    assert.equal(bench.ask(OPCODE.LOOKUP, { body: text('a') }).errno, ERRNO.EIO);
    assert.deepEqual(bench.told, ['failed: broken']);
  });

  test('a failed session answers nothing to what wants no answer', () => {
    const bench = new SessionBench();
    bench.session.fail(new Error('over'));
    for (const opcode of [OPCODE.FORGET, OPCODE.BATCH_FORGET, OPCODE.INTERRUPT]) bench.request(opcode);
    assert.equal(bench.sent.length, 0);
  });
});

test('too much waiting stops the flow of requests until there is room', async () => {
  const bench = new SessionBench();
  const nodeId = bench.create('a');
  const ready = new Deferred<void>();
  let waiting = true;
  bench.handler.before = () => {
    if (waiting) throw new NotYet(ready.promise);
  };
  const body = writeBody(0, Buffer.alloc(IO_BYTES_MAX));
  for (let i = 0; i < 65; i++) bench.request(OPCODE.WRITE, { nodeId, body });
  assert.deepEqual(bench.told, ['full']);
  waiting = false;
  ready.resolve();
  await turn();
  assert.deepEqual(bench.told, ['full', 'room']);
  assert.equal(bench.handler.writes.length, 65);
});
