/** What is told of copies of a real server's files: whole ones, damaged ones, and ones that somebody has made to do harm. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import { must } from '@rokka/kernel';
import type { Verdict } from '../../verifier.ts';
import { skipWithout, startServer, StoreDirectory } from '../testing/store.ts';
import { RedisClient } from './client.ts';
import { redisVerifier } from './verifier.ts';

const SKIP = skipWithout('redis', ['redis-server']);
const LIMITS = { skip: SKIP, timeout: 600_000 };
const deadline = () => AbortSignal.timeout(120_000);
const KEYS = 500;
/** So short that a dump has it as it is. */
const VALUE = 'valuable';
const LOG = 'appendonlydir';
const INCREMENT = `${LOG}/appendonly.aof.1.incr.aof`;

let directory: StoreDirectory;
let original: string;
let copies = 0;

before(async () => {
  if (SKIP) return;
  directory = new StoreDirectory('redis');
  original = directory.volume('original').mountPoint;
  await using server = await startServer({
    program: 'redis-server',
    dataDirectory: original,
    args: (socket) => ['--port', '0', '--unixsocket', socket, '--dir', original, '--appendonly', 'yes'],
    ready: /ready to accept connections/i,
    signal: deadline(),
  });
  await using client = await RedisClient.open(
    { server: 'the test', at: { path: server.socketPath } },
    deadline(),
  );
  for (let key = 0; key < KEYS; key++) await client.command(['SET', `k${key}`, VALUE], deadline());
  await client.command(['SAVE'], deadline());
});

after(() => directory?.[Symbol.dispose]());

/** Of a copy, after something was done to it. */
async function told(change: (copy: string) => void, program?: string): Promise<Record<string, Verdict>> {
  const copy = directory.volume(`copy-${++copies}`).mountPoint;
  execFileSync('cp', ['-a', `${original}/.`, copy]);
  change(copy);
  const verifier = redisVerifier(program === undefined ? {} : { program });
  const verdicts = await verifier.verify({ mountPoints: [copy], signal: deadline() });
  return Object.fromEntries(
    verdicts.map((verdict) => [path.relative(copy, must(verdict.what.split(' at ')[1])), verdict]),
  );
}

function notClean(verdict: Verdict | undefined, words: RegExp): void {
  assert.equal(verdict?.isClean, false, JSON.stringify(verdict));
  assert.match(verdict.words, words);
}

const LOG_NAME = `${LOG}/appendonly.aof`;
const isMine = { words: `it loads whole, with ${KEYS} keys`, isClean: true };
const asVerdicts = (verdicts: Record<string, Verdict>) =>
  Object.fromEntries(
    Object.entries(verdicts).map(([name, { isClean, words }]) => [name, { isClean, words }]),
  );

test('a log and a dump that load whole are clean, and of nothing there is no verdict', LIMITS, async () => {
  assert.deepEqual(asVerdicts(await told(() => {})), { [LOG_NAME]: isMine, 'dump.rdb': isMine });
  const nothing = await told((copy) => {
    fs.rmSync(path.join(copy, LOG), { recursive: true });
    fs.rmSync(path.join(copy, 'dump.rdb'));
    fs.writeFileSync(path.join(copy, 'others.rdb'), 'not a dump');
    fs.writeFileSync(path.join(copy, 'temp-12.rdb'), 'REDIS0011, not finished');
  });
  assert.deepEqual(nothing, {});
});

test('files of other names, and a log in one file, are found', LIMITS, async () => {
  const verdicts = await told((copy) => {
    fs.renameSync(path.join(copy, 'dump.rdb'), path.join(copy, 'nightly.rdb'));
    fs.copyFileSync(path.join(copy, INCREMENT), path.join(copy, 'appendonly.aof'));
    execFileSync('chown', ['redis:', path.join(copy, 'appendonly.aof')]);
    fs.rmSync(path.join(copy, LOG), { recursive: true });
  });
  assert.deepEqual(asVerdicts(verdicts), { 'appendonly.aof': isMine, 'nightly.rdb': isMine });
});

test('what is cut off, damaged or missing is not clean', LIMITS, async () => {
  const cut = await told((copy) => {
    const log = path.join(copy, INCREMENT);
    fs.truncateSync(log, fs.statSync(log).size - 3);
    const dump = path.join(copy, 'dump.rdb');
    const bytes = fs.readFileSync(dump);
    // Only the checksum tells.
    bytes.write('w', bytes.lastIndexOf(VALUE));
    fs.writeFileSync(dump, bytes);
  });
  notClean(cut[LOG_NAME], /Unexpected end of file/);
  notClean(cut['dump.rdb'], /Wrong RDB checksum/);
  const lost = await told((copy) => {
    fs.rmSync(path.join(copy, `${LOG_NAME}.manifest`));
    fs.truncateSync(path.join(copy, 'dump.rdb'), 0);
  });
  notClean(lost[LOG_NAME], /no appendonly\.aof\.manifest/);
  notClean(lost['dump.rdb'], /EOF|Short read/i);
  notClean(
    (await told((copy) => fs.rmSync(path.join(copy, INCREMENT))))[LOG_NAME],
    /incr\.aof.*No such file/,
  );
});

test('commands of a log that would harm are not carried out, and no settings are read', LIMITS, async () => {
  const commands = [
    ['MODULE', 'LOAD', '/nowhere/evil.so'],
    ['CONFIG', 'SET', 'maxmemory', '1'],
    ['REPLICAOF', '127.0.0.1', '1'],
  ];
  for (const command of commands) {
    const words = command.map((word) => `$${word.length}\r\n${word}\r\n`).join('');
    const verdicts = await told((copy) => {
      fs.appendFileSync(path.join(copy, INCREMENT), `*${command.length}\r\n${words}`);
      fs.writeFileSync(path.join(copy, 'redis.conf'), 'loadmodule /nowhere/evil.so\n');
    });
    notClean(verdicts[LOG_NAME], new RegExp(`Unknown command '${command[0]}'`));
    assert.equal(verdicts['dump.rdb']?.isClean, true);
  }
});

test('what is no file, or leads elsewhere, is not opened', LIMITS, async () => {
  const piped = await told((copy) => {
    const log = path.join(copy, INCREMENT);
    fs.rmSync(log);
    execFileSync('mkfifo', [log]);
    execFileSync('chown', ['redis:', log]);
  });
  notClean(piped[LOG_NAME], /neither a file nor a directory/);
  const linked = await told((copy) => {
    fs.rmSync(path.join(copy, INCREMENT));
    fs.symlinkSync(path.join(original, INCREMENT), path.join(copy, INCREMENT));
  });
  notClean(linked[LOG_NAME], /leads to .*original.*, which is not restored/);
  const instead = await told((copy) => {
    fs.rmSync(path.join(copy, LOG), { recursive: true });
    fs.writeFileSync(path.join(copy, LOG), '');
  });
  notClean(instead[LOG], /a file, where a directory should be/);
});

test('nothing is started as root or as nobody knows whom, nor without a program', LIMITS, async () => {
  const owned = await told((copy) => {
    fs.chownSync(path.join(copy, LOG), 0, 0);
    fs.chownSync(path.join(copy, 'dump.rdb'), 987_654, 987_654);
  });
  notClean(owned[LOG_NAME], /belongs to root/);
  notClean(owned['dump.rdb'], /987654, of which \/etc\/passwd knows no account/);
  const missing = await told(() => {}, '/nowhere/redis-server');
  for (const name of [LOG_NAME, 'dump.rdb'])
    notClean(missing[name], /\/nowhere\/redis-server is not on this machine.*install it/);
});
