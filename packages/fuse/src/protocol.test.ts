import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { assert as check, integer, property } from 'fast-check';
import { FATTR, OPCODE, opcodeName, REQUEST_BYTES_MAX, S_IFDIR, S_IFREG, WRITE_DATA_AT } from './protocol.ts';
import { FuseReply, turnIntoError, VALID_SECONDS } from './reply.ts';
import { FuseRequest } from './request.ts';
import { encodeRequest, text, u32, u64, writeBody } from './testing/requests.ts';

/** Bytes as the kernel would send them, written out by hand from include/uapi/linux/fuse.h. */
const hex = (...parts: string[]) => Buffer.from(parts.join('').replaceAll(' ', ''), 'hex');
const point = (bytes: Buffer) => new FuseRequest().reset(bytes, bytes.length);

const ATTRIBUTES = {
  ino: 0x1122334455,
  mode: S_IFREG | 0o640,
  links: 2,
  uid: 1000,
  gid: 1001,
  sizeBytes: 0x200000001,
  blocks: 16,
  atime: { seconds: 1, nanoseconds: 2 },
  mtime: { seconds: -1, nanoseconds: 999_999_999 },
  ctime: { seconds: 0x123456789, nanoseconds: 4 },
};
const ATTR_HEX = [
  '5544332211000000 0100000002000000 1000000000000000', // ino, size, blocks
  '0100000000000000 ffffffffffffffff 8967452301000000', // atime, mtime, ctime
  '02000000 ffc99a3b 04000000', // their nanoseconds
  'a0810000 02000000 e8030000 e9030000 00000000 00100000 00000000', // mode, nlink, uid, gid, rdev, blksize, flags
].join('');

suite('requests', () => {
  test('a WRITE is read field by field', () => {
    const bytes = hex(
      '53000000 10000000 0807060504030281', // len 83, WRITE, unique with its highest bit set
      '0900000000000000 e8030000 e9030000 d2040000 00000000', // nodeid 9, uid, gid, pid, extensions
      '0000000000000000 0020000001000000 03000000 04000000', // fh, offset 2^32 + 8192, size 3, write_flags
      '0000000000000000 01100000 00000000 616263', // lock_owner, flags O_WRONLY | O_DSYNC, padding, data
    );
    const request = point(bytes);
    assert.equal(request.opcode, OPCODE.WRITE);
    assert.equal(request.nodeId, 9);
    assert.deepEqual([request.uid, request.gid], [1000, 1001]);
    assert.equal(request.bodyU64(8), 2 ** 32 + 8192);
    assert.equal(request.bodyU32(16), 3);
    assert.equal(request.bodyU32(32), 0o10001);
    assert.equal(request.writeData(3).toString(), 'abc');
    assert.equal(WRITE_DATA_AT, 80);
    const unique = Buffer.alloc(8);
    request.copyUnique(unique, 0);
    assert.deepEqual(unique, hex('0807060504030281'));
  });

  test('the helper of these tests writes the same bytes', () => {
    const bytes = encodeRequest(OPCODE.WRITE, { nodeId: 9, body: writeBody(8192, Buffer.from('abc')) });
    assert.equal(bytes.length, 83);
    assert.equal(point(bytes).bodyU64(8), 8192);
    assert.equal(point(bytes).writeData(3).toString(), 'abc');
  });

  test('names are bytes, one character each, and follow one another', () => {
    const request = point(encodeRequest(OPCODE.SYMLINK, { body: text('\xe9\xff', 'to') }));
    assert.equal(request.name(0), '\xe9\xff');
    assert.equal(request.name(3), 'to');
  });

  test('times before 1970 are negative seconds', () => {
    const body = Buffer.concat([hex('feffffffffffffff'), u32(7)]);
    assert.deepEqual(point(encodeRequest(OPCODE.SETATTR, { body })).bodyTime(0, 8), {
      seconds: -2,
      nanoseconds: 7,
    });
  });

  test('a number beyond the safe integers saturates', () => {
    const body = Buffer.concat([hex('ffffffffffffff7f'), u64(Number.MAX_SAFE_INTEGER)]);
    const request = point(encodeRequest(OPCODE.READ, { body }));
    assert.equal(request.bodyU64(0), Number.MAX_SAFE_INTEGER);
    assert.equal(request.bodyU64(8), Number.MAX_SAFE_INTEGER);
  });

  test('a copy outlives the buffer', () => {
    const bytes = encodeRequest(OPCODE.WRITE, { body: writeBody(0, Buffer.from('keep')) });
    const copy = point(bytes).copy();
    bytes.fill(0);
    assert.equal(copy.opcode, OPCODE.WRITE);
    assert.equal(copy.writeData(4).toString(), 'keep');
  });

  test('the view of the data is made once for writes of one size, and anew for another buffer', () => {
    const first = encodeRequest(OPCODE.WRITE, { body: writeBody(0, Buffer.from('aaaa')) });
    const second = encodeRequest(OPCODE.WRITE, { body: writeBody(0, Buffer.from('bbbb')) });
    const request = new FuseRequest();
    const view = request.reset(first, first.length).writeData(4);
    assert.equal(request.reset(first, first.length).writeData(4), view);
    assert.equal(request.writeData(2).toString(), 'aa');
    assert.equal(request.reset(second, second.length).writeData(4).toString(), 'bbbb');
  });

  test('a request whose length is wrong, or without the end of a name, is our own mistake', () => {
    const bytes = encodeRequest(OPCODE.LOOKUP, { body: Buffer.from('ab') });
    assert.throws(() => point(bytes.subarray(0, 41)), /says 42 bytes, 41 came/);
    assert.throws(() => point(bytes.subarray(0, 20)), /no header/);
    assert.throws(() => point(bytes).name(0), /without its end/);
    assert.throws(() => point(bytes).writeData(100), /ends early/);
  });
});

suite('replies', () => {
  const begin = () =>
    new FuseReply().begin(point(encodeRequest(OPCODE.GETATTR, { unique: 0x8000000000000102n })));
  const HEAD = '00000000 0201000000000080';

  test('an error', () => {
    const reply = begin();
    reply.error(2);
    assert.deepEqual(reply.copy(), hex('10000000 feffffff 0201000000000080'));
  });

  test('attributes', () => {
    const reply = begin();
    reply.attributes(ATTRIBUTES);
    const golden = hex('78000000', HEAD, '8051010000000000 00000000 00000000', ATTR_HEX);
    assert.deepEqual(reply.copy(), golden);
    assert.equal(VALID_SECONDS, 0x15180);
  });

  test('an entry', () => {
    const reply = begin();
    reply.entry(ATTRIBUTES);
    const entry = ['5544332211000000', '0000000000000000', '8051010000000000'.repeat(2), '0000000000000000'];
    assert.deepEqual(reply.copy(), hex('90000000', HEAD, ...entry, ATTR_HEX));
  });

  test('"no such name" has node id 0 and may be remembered', () => {
    const reply = begin();
    reply.entry(ATTRIBUTES);
    reply.noEntry();
    const body = ['00'.repeat(16), '8051010000000000', '00'.repeat(104)];
    assert.deepEqual(reply.copy(), hex('90000000', HEAD, ...body));
  });

  test('opened, created, written', () => {
    const reply = begin();
    reply.opened(0x41);
    assert.deepEqual(reply.copy(), hex('20000000', HEAD, '0000000000000000 41000000 00000000'));
    reply.created(ATTRIBUTES, 0x41);
    assert.equal(reply.length, 16 + 128 + 16);
    assert.deepEqual(reply.copy().subarray(144), hex('0000000000000000 41000000 00000000'));
    reply.written(8192);
    assert.deepEqual(reply.copy(), hex('18000000', HEAD, '00200000 00000000'));
  });

  test('data lies where READ put it', () => {
    const reply = begin();
    reply.room(5).write('hello');
    reply.data(4);
    assert.deepEqual(reply.copy(), hex('14000000', HEAD, '68656c6c'));
  });

  test('the state of the filesystem', () => {
    const reply = begin();
    const numbers = {
      blockSizeBytes: 8192,
      blocks: 10,
      blocksFree: 7,
      files: 5,
      filesFree: 3,
      nameBytesMax: 255,
    };
    reply.statFs(numbers);
    const body = [u64(10, 7, 7, 5, 3), u32(8192, 255, 8192, 0), Buffer.alloc(24)];
    assert.deepEqual(reply.copy(), Buffer.concat([hex('60000000', HEAD), ...body]));
  });

  test('directory entries are padded to eight bytes, and stop where the room ends', () => {
    const reply = begin();
    const entry = { name: 'a\xff', ino: 7, mode: S_IFDIR | 0o755, nextCookie: 3 };
    assert.equal(reply.appendEntry(entry, { roomBytes: 64 }), true);
    assert.equal(reply.appendEntry({ ...entry, name: 'long name' }, { roomBytes: 64 }), false);
    assert.equal(reply.appendEntry({ ...entry, name: 'full8byt' }, { roomBytes: 64 }), true);
    const first = '0700000000000000 0300000000000000 02000000 04000000 61ff000000000000';
    const second = '0700000000000000 0300000000000000 08000000 04000000 66756c6c38627974';
    assert.deepEqual(reply.copy(), hex('50000000', HEAD, first, second));
  });

  test('an entry with attributes stands before its directory entry; "." has node id 0', () => {
    const reply = begin();
    const entry = { name: '.', ino: 1, mode: S_IFDIR, nextCookie: 1 };
    reply.bytes.fill(0xaa, 16);
    assert.equal(reply.appendEntry(entry, { roomBytes: 400, plus: 'none' }), true);
    assert.equal(reply.appendEntry({ ...entry, name: 'x' }, { roomBytes: 400, plus: ATTRIBUTES }), true);
    assert.equal(reply.length, 16 + 2 * 160);
    assert.deepEqual(reply.copy().subarray(16, 144), Buffer.alloc(128));
    assert.deepEqual(reply.copy().subarray(176 + 40, 176 + 128), hex(ATTR_HEX));
  });

  test('a reply that was copied out can be turned into an error', () => {
    const reply = begin();
    reply.written(10);
    const copy = reply.copy();
    const length = turnIntoError(copy, 5);
    assert.deepEqual(copy.subarray(0, length), hex('10000000 fbffffff 0201000000000080'));
  });

  test('times of all ages survive', () => {
    const seconds = integer({ min: -(2 ** 40), max: 2 ** 40 });
    const nanoseconds = integer({ min: 0, max: 999_999_999 });
    check(
      property(seconds, nanoseconds, (s, ns) => {
        const reply = begin();
        reply.attributes({ ...ATTRIBUTES, mtime: { seconds: s, nanoseconds: ns } });
        assert.equal(reply.bytes.readBigInt64LE(32 + 32), BigInt(s));
        assert.equal(reply.bytes.readUInt32LE(32 + 52), ns);
      }),
      { numRuns: 200 },
    );
  });
});

test('numbers that the kernel fixes', () => {
  assert.equal(opcodeName(OPCODE.FALLOCATE), 'FALLOCATE');
  assert.equal(opcodeName(999), 'OPCODE_999');
  assert.equal(FATTR.KILL_SUIDGID, 0x800);
  assert.equal(REQUEST_BYTES_MAX, 1024 * 1024 + 4096);
});
