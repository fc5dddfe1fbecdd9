import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  FromBackend,
  FromClient,
  message,
  queryMessage,
  readyMessage,
  SYNC_MESSAGE,
  zeroTerminated,
} from './wire-messages.ts';
import { BackendState, WireSession } from './wire-session.ts';

const parse = (name: string, sql: string) =>
  message(FromClient.parse, zeroTerminated(name), zeroTerminated(sql), Buffer.alloc(2));
const bind = (name: string) =>
  message(FromClient.bind, zeroTerminated(''), zeroTerminated(name), Buffer.alloc(6));
const describe = (name: string) => message(FromClient.describe, Buffer.from('S'), zeroTerminated(name));
const close = (name: string) => message(FromClient.close, Buffer.from('S'), zeroTerminated(name));
const PARSED = message(FromBackend.parseComplete);
const READY = readyMessage('I');

function sessions() {
  const backend = new BackendState();
  return [1, 2].map((id) => new WireSession({ id, backend, alone: false }));
}

/** What the backend is sent, as types with statement names. */
function sent(batch: Buffer): string[] {
  const out: string[] = [];
  for (let at = 0; at < batch.length; at += 1 + batch.readUInt32BE(at + 1)) {
    const type = String.fromCharCode(batch[at]);
    const from = type === 'B' || type === 'D' || type === 'C' ? at + 6 : at + 5;
    out.push(type === 'S' ? type : `${type} ${batch.toString('latin1', from, batch.indexOf(0, from))}`);
  }
  return out;
}

test('named statements get names of their own, unnamed ones none', () => {
  const [a, b] = sessions();
  assert.deepEqual(sent(a.translate([parse('x', 'select 1'), bind('x'), describe('x'), SYNC_MESSAGE])), [
    'P rokka1.x',
    'B rokka1.x',
    'D rokka1.x',
    'S',
  ]);
  assert.deepEqual(sent(b.translate([parse('x', 'select 2'), SYNC_MESSAGE])), ['P rokka2.x', 'S']);
  assert.deepEqual(sent(b.translate([parse('', 'select 2'), bind(''), SYNC_MESSAGE])), ['P ', 'B ', 'S']);
});

test('an unnamed statement that another session replaced is parsed again, unseen', () => {
  const [a, b] = sessions();
  a.translate([parse('', 'select 1'), SYNC_MESSAGE]);
  assert.deepEqual(Buffer.concat(a.reply(Buffer.concat([PARSED, READY]))), Buffer.concat([PARSED, READY]));
  assert.deepEqual(sent(a.translate([bind(''), SYNC_MESSAGE])), ['B ', 'S']);
  a.reply(READY);
  b.translate([parse('', 'select 2'), SYNC_MESSAGE]);
  b.reply(Buffer.concat([PARSED, READY]));
  assert.deepEqual(sent(a.translate([bind(''), SYNC_MESSAGE])), ['P ', 'B ', 'S']);
  assert.deepEqual(Buffer.concat(a.reply(Buffer.concat([PARSED, READY]))), READY);
  // A simple query drops it for good.
  a.translate([queryMessage('select 1')]);
  a.reply(READY);
  assert.deepEqual(sent(a.translate([bind(''), SYNC_MESSAGE])), ['B rokka1.', 'S']);
});

test('after a restart named statements are parsed again at their next use, and only then', () => {
  const [a] = sessions();
  a.translate([parse('x', 'select 1'), parse('y', 'select 2'), SYNC_MESSAGE]);
  a.reply(Buffer.concat([PARSED, PARSED, READY]));
  a.forgetLive();
  assert.deepEqual(sent(a.translate([bind('x'), SYNC_MESSAGE])), ['P rokka1.x', 'B rokka1.x', 'S']);
  a.reply(Buffer.concat([PARSED, READY]));
  assert.deepEqual(sent(a.translate([bind('x'), SYNC_MESSAGE])), ['B rokka1.x', 'S']);
  a.reply(READY);
  assert.deepEqual(sent(a.translate([close('y'), bind('y'), SYNC_MESSAGE])), [
    'C rokka1.y',
    'B rokka1.y',
    'S',
  ]);
});

test('a statement prepared while the backend was taken is parsed at its first use', () => {
  const [a] = sessions();
  assert.equal(a.prepareLater(parse('x', 'select 1')), true);
  assert.equal(a.prepareLater(parse('x', 'select 2')), false);
  assert.equal(a.prepareLater(parse('', 'select 1')), false);
  assert.equal(a.prepareLater(parse('l', 'listen y')), false);
  assert.deepEqual(sent(a.translate([bind('x'), SYNC_MESSAGE])), ['P rokka1.x', 'B rokka1.x', 'S']);
  // The backend finds it wrong: it stays to be parsed, and fails again.
  a.reply(Buffer.concat([message(FromBackend.error, Buffer.from('C42P01\0\0')), READY]));
  assert.deepEqual(sent(a.translate([bind('x'), SYNC_MESSAGE])), ['P rokka1.x', 'B rokka1.x', 'S']);
});

test('a refused statement fails in the backend, and the client sees why', () => {
  const [a] = sessions();
  const batch = a.translate([parse('', 'listen x'), SYNC_MESSAGE]).toString('latin1');
  const marker = /"rokka refuses: listen"/.exec(batch)?.[0] ?? '';
  assert.ok(marker);
  const error = message(
    FromBackend.error,
    Buffer.from(`SERROR\0C42601\0Msyntax error at or near "${marker}"\0\0`),
  );
  const shown = Buffer.concat(a.reply(Buffer.concat([error, READY]))).toString('latin1');
  assert.match(shown, /C0A000\0MLISTEN is not available/);
});

test('at rest, in a transaction, in an open pipeline', () => {
  const [a] = sessions();
  a.translate([queryMessage('begin')]);
  assert.equal(a.atRest, false);
  a.reply(readyMessage('T'));
  assert.deepEqual([a.atRest, a.status], [false, 'T']);
  a.translate([queryMessage('commit')]);
  a.reply(READY);
  assert.equal(a.atRest, true);
  a.translate([parse('', 'select 1'), message(FromClient.flush)]);
  a.reply(PARSED);
  assert.equal(a.atRest, false);
});

test('malformed messages reach the backend as they are', () => {
  const [a] = sessions();
  const broken = [message(FromClient.bind, Buffer.from('x')), message(FromClient.parse, Buffer.from('y'))];
  assert.deepEqual(a.translate(broken), Buffer.concat(broken));
});

test('which replies need not wait for the volume', () => {
  const [a] = sessions();
  const row = message(FromBackend.dataRow, Buffer.alloc(2));
  const done = (tag: string) => message(0x43, zeroTerminated(tag));
  const provisional = (...replies: Buffer[]) => {
    a.translate([queryMessage('')]);
    a.reply(Buffer.concat(replies));
    return a.provisional;
  };
  const T = readyMessage('T');
  assert.equal(provisional(row, done('SELECT 1'), READY), false, 'a read outside of a transaction');
  assert.equal(provisional(done('BEGIN'), T), true, 'nothing is told');
  assert.equal(provisional(row, done('SELECT 1'), T), false, 'a read of a transaction that has not written');
  assert.equal(provisional(done('UPDATE 1'), T), true, 'a write whose commit is to come');
  assert.equal(provisional(row, done('SELECT 1'), T), true, 'a read of a transaction that has written');
  assert.equal(
    provisional(message(FromBackend.error, Buffer.from('C23505\0\0')), readyMessage('E')),
    false,
    'an error',
  );
  assert.equal(provisional(done('ROLLBACK'), READY), false, 'the end');
  assert.equal(provisional(done('BEGIN'), T), true);
  assert.equal(provisional(row, done('SELECT 1'), T), false, 'a new transaction has not written');
  assert.equal(provisional(done('UPDATE 1'), T), true);
  assert.equal(provisional(done('COMMIT'), done('BEGIN'), T), false, 'an end with a new beginning behind it');
});

test('whether others may lie behind a batch', () => {
  const [a] = sessions();
  const settles = (...batch: Buffer[]) => {
    a.translate(batch);
    const settled = a.settles;
    a.takeBack();
    return settled;
  };
  const execute = message(FromClient.execute, zeroTerminated(''), Buffer.alloc(4));
  const flush = message(FromClient.flush);
  assert.equal(settles(queryMessage('insert into t values (1)')), true);
  assert.equal(settles(parse('', 'select $1'), bind(''), describe(''), execute, SYNC_MESSAGE), true);
  assert.equal(settles(parse('', 'begin'), bind(''), execute, SYNC_MESSAGE), false);
  assert.equal(settles(parse('', 'select 1'), bind(''), execute, flush), false, 'its end is to come');
  assert.equal(settles(queryMessage('begin')), false);
  assert.equal(settles(queryMessage('commit')), false, 'there is nothing to end');
  assert.equal(settles(queryMessage('set a.b = 1')), false, 'settings are to be read back');
  assert.equal(settles(queryMessage('create temp table t ()')), false, 'it keeps the backend');
  assert.equal(settles(message(FromClient.functionCall, Buffer.alloc(8))), false);

  a.translate([queryMessage('begin')]);
  a.reply(readyMessage('T'));
  assert.deepEqual([a.mayTakeBack([queryMessage('select 1')])], [false], 'it is in a transaction');
  a.translate([queryMessage('select 1')]);
  assert.equal(a.settles, false);
  a.reply(readyMessage('T'));
  a.translate([queryMessage('commit')]);
  assert.equal(a.settles, true);
  a.reply(READY);
  a.translate([queryMessage('begin')]);
  a.reply(readyMessage('T'));
  a.translate([queryMessage('set a.b = 1')]);
  a.reply(readyMessage('T'));
  a.translate([queryMessage('commit')]);
  assert.equal(a.settles, false, 'its settings are to be read back');
});

test('a batch that was taken back is translated once more, as if it had not been before', () => {
  const [a] = sessions();
  a.translate([parse('x', 'select 1'), SYNC_MESSAGE]);
  a.reply(Buffer.concat([PARSED, READY]));
  const batches = [
    [bind('x'), SYNC_MESSAGE],
    [parse('', 'select 2'), bind(''), SYNC_MESSAGE],
    [parse('y', 'select 3'), bind('y'), SYNC_MESSAGE],
    [queryMessage('create temp table t ()')],
  ];
  for (const batch of batches) {
    assert.equal(a.mayTakeBack(batch), true);
    const once = a.translate(batch);
    a.takeBack();
    assert.deepEqual([a.atRest, a.pin, a.settingsTouched], [true, undefined, false]);
    assert.deepEqual(a.translate(batch), once);
    a.takeBack();
  }
  assert.equal(a.mayTakeBack([queryMessage('deallocate x')]), false, 'it forgets the statement at once');
  assert.equal(a.mayTakeBack([close('x'), SYNC_MESSAGE]), false);
});

test('the unnamed statement is that of whoever is translated last, whatever is answered later', () => {
  const [a, b] = sessions();
  a.translate([parse('', 'select 1'), SYNC_MESSAGE]);
  b.translate([parse('', 'select 2'), SYNC_MESSAGE]);
  a.reply(Buffer.concat([PARSED, READY]));
  // What b sent lies behind: when this comes, the backend holds that of b.
  assert.deepEqual(sent(a.translate([bind(''), SYNC_MESSAGE])), ['P ', 'B ', 'S']);
  b.reply(Buffer.concat([PARSED, READY]));
  assert.deepEqual(sent(b.translate([bind(''), SYNC_MESSAGE])), ['P ', 'B ', 'S']);
});

test('nobody runs the unnamed statement of another session', () => {
  const [a, b] = sessions();
  a.translate([parse('', 'copy t from stdin'), SYNC_MESSAGE]);
  a.reply(Buffer.concat([PARSED, READY]));
  assert.deepEqual(sent(b.translate([bind(''), describe(''), SYNC_MESSAGE])), [
    'B rokka2.',
    'D rokka2.',
    'S',
  ]);
  assert.equal(b.settles, false, 'what it runs is not known');
  const error = message(FromBackend.error, Buffer.from('C26000\0Mprepared statement "rokka2." is not\0\0'));
  assert.match(Buffer.concat(b.reply(Buffer.concat([error, READY]))).toString(), /statement "" is not/);
  assert.deepEqual(sent(a.translate([bind(''), SYNC_MESSAGE])), ['B ', 'S']);
});

test('whatever drops the unnamed statement of another session, it is parsed again', () => {
  for (const drop of [parse('', 'listen x'), close('')]) {
    const [a, b] = sessions();
    a.translate([parse('', 'select 1'), SYNC_MESSAGE]);
    a.reply(Buffer.concat([PARSED, READY]));
    b.translate([drop, SYNC_MESSAGE]);
    b.reply(READY);
    assert.deepEqual(sent(a.translate([bind(''), SYNC_MESSAGE])), ['P ', 'B ', 'S']);
  }
});

test('the backend is kept from the first word of a batch to the end of its transaction, and by what pins it', () => {
  const [a] = sessions();
  const kept = (sql: string, status: 'I' | 'T') => {
    a.translate([queryMessage(sql)]);
    const before = a.keepsBackend;
    a.reply(readyMessage(status));
    return [before, a.keepsBackend];
  };
  assert.equal(a.keepsBackend, false);
  assert.deepEqual(kept('select 1', 'I'), [true, false]);
  assert.deepEqual(kept('begin', 'T'), [true, true]);
  assert.deepEqual(kept('select 1', 'T'), [true, true]);
  assert.deepEqual(kept('commit', 'I'), [true, false]);
  a.pin = 'a temporary table';
  assert.equal(a.keepsBackend, true);
});
