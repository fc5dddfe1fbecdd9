import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCoded } from '@rokka/kernel';
import { encodeAgreement, negotiate } from './negotiation.ts';
import { INIT_FLAG, INIT_FLAG2 } from './protocol.ts';

const OFFER = { major: 7, minor: 45, readaheadBytesMax: 131_072, flags: 0x7fffffff, flags2: 0xffff };

test('the smaller of the versions is spoken, and only what both know', () => {
  const agreement = negotiate(OFFER);
  assert.equal(agreement.minor, 41);
  assert.equal(agreement.readaheadBytesMax, 131_072);
  assert.equal(agreement.directMmap, true);
  assert.equal(negotiate({ ...OFFER, minor: 31 }).minor, 31);
  assert.equal(negotiate({ ...OFFER, flags: INIT_FLAG.BIG_WRITES }).flags, INIT_FLAG.BIG_WRITES);
});

test('no writeback cache, no locks of the server, no NFS, no second guessing of cached pages', () => {
  const { flags } = negotiate(OFFER);
  for (const bit of [1, 4, 10, 12, 16]) assert.equal(flags & (1 << bit), 0, `bit ${bit}`);
});

test('the second word of flags counts only where the kernel announced it', () => {
  const flags = OFFER.flags & ~INIT_FLAG.INIT_EXT;
  assert.equal(negotiate({ ...OFFER, flags }).flags2, 0);
  assert.equal(negotiate({ ...OFFER, flags }).directMmap, false);
  assert.equal(negotiate(OFFER).flags2, INIT_FLAG2.DIRECT_IO_ALLOW_MMAP);
});

test('a kernel that is too old is refused', () => {
  for (const version of [
    { major: 7, minor: 22 },
    { major: 6, minor: 45 },
    { major: 8, minor: 0 },
  ]) {
    assert.throws(
      () => negotiate({ ...OFFER, ...version }),
      (error) => isCoded(error, 'FUSE_KERNEL_TOO_OLD'),
    );
  }
});

test('the body of the reply', () => {
  const body = encodeAgreement(negotiate(OFFER));
  const golden =
    '07000000 29000000 00000200 29e0c452' + // 7.41, readahead, flags
    '80006000 00001000 01000000 00010000' + // background and congestion, max_write, time_gran, max_pages
    '10000000' +
    '00'.repeat(28); // flags2, unused
  assert.equal(body.toString('hex'), golden.replaceAll(' ', ''));
});
