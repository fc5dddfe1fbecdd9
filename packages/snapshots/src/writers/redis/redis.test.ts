import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeCommand, parseInfo, parseReply, ReplyError } from './client.ts';
import { copiesIn } from './copies.ts';
import { isQuiet, unfitness, wasWritten } from './persistence.ts';
import { failureIn } from './restored.ts';

const QUIET = {
  run_id: 'a',
  master_replid: 'b',
  master_repl_offset: '7',
  rdb_last_save_time: '1',
  rdb_saves: '1',
  rdb_changes_since_last_save: '5',
};

test('replies are read whole or not at all', () => {
  const bytes = Buffer.from('*3\r\n$5\r\nh\r\nlo\r\n:12\r\n*2\r\n$-1\r\n+OK\r\n');
  for (let length = 0; length < bytes.length; length += 1)
    assert.equal(parseReply(bytes.subarray(0, length), 0), undefined);
  assert.deepEqual(parseReply(bytes, 0), { reply: ['h\r\nlo', 12, [null, 'OK']], end: bytes.length });
  assert.deepEqual(parseReply(Buffer.from('-NOAUTH no\r\n'), 0)?.reply, new ReplyError('NOAUTH no'));
});

test('what no server answers is refused at once, and not read for ever', () => {
  for (const odd of ['$x\r\n', '$1.5\r\n', '*1e9\r\n', '*-7\r\n', '*1\r\n'.repeat(100_000)]) {
    const bytes = Buffer.from(odd);
    const parsed = parseReply(bytes, 0);
    assert.match(JSON.stringify(parsed?.reply), /not the Redis protocol/, odd.slice(0, 8));
    assert.equal(parsed?.end, bytes.length);
  }
});

test('commands count bytes, not characters', () => {
  assert.equal(encodeCommand(['SET', 'ä']), '*2\r\n$3\r\nSET\r\n$2\r\nä\r\n');
});

test('a value of INFO may have colons', () => {
  assert.deepEqual(parseInfo('# Server\r\nexecutable:/a:b\r\n'), { executable: '/a:b' });
});

test('a write between two looks shows, whether or not there was a dump', () => {
  for (const [change, written] of [
    [{}, false],
    [{ master_repl_offset: '8' }, true],
    [{ run_id: 'c' }, true],
    [{ rdb_changes_since_last_save: '6' }, true],
    [{ rdb_saves: '2', rdb_changes_since_last_save: '0' }, false],
    [{ rdb_saves: '2', rdb_changes_since_last_save: '1' }, true],
    [{ rdb_last_save_time: '2', rdb_changes_since_last_save: '0' }, false],
  ] as const)
    assert.equal(wasWritten(QUIET, { ...QUIET, ...change }), written, JSON.stringify(change));
});

test('a server that is not at rest, or not whole, is told', () => {
  assert.ok(isQuiet({}));
  assert.ok(!isQuiet({ aof_rewrite_scheduled: '1' }));
  assert.equal(unfitness({ aof_enabled: '0' }), undefined);
  assert.match(unfitness({ loading: '1' }) ?? '', /loading/);
  assert.match(unfitness({ role: 'slave', master_sync_in_progress: '1' }) ?? '', /primary/);
  assert.match(unfitness({ aof_enabled: '1', aof_last_write_status: 'err' }) ?? '', /write/);
});

test('what a server keeps is known by its names', () => {
  const found = (files: readonly string[]) =>
    copiesIn('/d/log', files).map(({ kind, directory, settings, fault }) => [
      kind,
      directory,
      settings.join(' '),
      fault !== undefined,
    ]);
  assert.deepEqual(found(['note', 'temp-1.rdb', 'temp-rewriteaof-1.aof', 'x.manifest']), []);
  assert.deepEqual(found(['dump.rdb', 'old.aof']), [
    ['log', '/d/log', '--appendfilename old.aof', false],
    ['dump', '/d/log', '--dbfilename dump.rdb', false],
  ]);
  const parts = ['journal.1.base.rdb', 'journal.2.incr.aof', 'journal.3.incr.aof'];
  const settings = '--appenddirname log --appendfilename journal';
  assert.deepEqual(found([...parts, 'journal.manifest']), [['log', '/d', settings, false]]);
  for (const broken of [parts, ['journal.aof.manifest'], ['appendonlydir']])
    assert.deepEqual(
      found(broken).map(([kind, , , isBroken]) => [kind, isBroken]),
      [['log', true]],
    );
});

test('why a server has ended is its last warnings', () => {
  const log = [
    '1:C 1 Nov 2026 01:02:03.4 # one',
    '1:M 1 Nov # WARNING overcommit',
    '1:M 1 Nov * two',
    '1:M 1 Nov # three # four',
  ];
  assert.equal(failureIn(log.join('\n')), 'one; three # four');
  assert.equal(failureIn('sh: not found'), undefined);
});
