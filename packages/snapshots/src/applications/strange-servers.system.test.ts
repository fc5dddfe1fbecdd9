/** Programs that look like servers, and are not, or are several: nobody stops or starts them, and they are named. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { must, systemClock } from '@rokka/kernel';
import { isAlive, processFacts } from './process-facts.ts';
import { REDIS } from './redis.ts';
import { MARIADB, servers, type ServerSpecies } from './servers.ts';

const LIMITS = {
  skip: process.getuid?.() === 0 ? false : 'root is needed, to start as somebody else',
  timeout: 300_000,
};
const NOBODY = 65_534;

class Directory implements Disposable {
  readonly path = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-strange-'));
  readonly #children: ChildProcess[] = [];

  constructor() {
    fs.chmodSync(this.path, 0o755);
    fs.chownSync(this.path, NOBODY, NOBODY);
  }

  async run(program: string, args: readonly string[]): Promise<number> {
    const child = spawn(program, args, {
      cwd: this.path,
      uid: NOBODY,
      gid: NOBODY,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#children.push(child);
    await once(child.stdout, 'data');
    return must(child.pid);
  }

  find(species: ServerSpecies) {
    const kind = servers(species, { stateDirectory: path.join(this.path, 'state'), clock: systemClock });
    const volumes = [{ volume: 'vol-1', mountPoint: this.path }];
    return kind.find({ volumes, writing: [], signal: AbortSignal.timeout(120_000) });
  }

  [Symbol.dispose](): void {
    for (const child of this.#children) child.kill('SIGKILL');
    fs.rmSync(this.path, { recursive: true });
  }
}

test('of several in one directory nobody could tell which of them runs again', LIMITS, async () => {
  using directory = new Directory();
  const program = path.join(directory.path, 'mariadbd');
  fs.copyFileSync('/bin/sh', program);
  fs.chmodSync(program, 0o755);
  const work = ['-c', 'echo ready; while :; do /bin/sleep 1; done'];
  await directory.run(program, work);
  const [only] = (await directory.find(MARIADB)).applications;
  assert.equal(only?.note.id, `mariadb:${directory.path}`);
  await directory.run(program, work);
  const { applications, immovable } = await directory.find(MARIADB);
  assert.deepEqual(applications, []);
  assert.equal(immovable.length, 2);
  for (const { why } of immovable) assert.match(why, /another one works in .* as well \(pid \d+\)/);
});

test('one whose program has gone could not be started again', LIMITS, async () => {
  using directory = new Directory();
  const program = path.join(directory.path, 'mariadbd');
  fs.copyFileSync('/bin/sh', program);
  fs.chmodSync(program, 0o755);
  await directory.run(program, ['-c', 'echo ready; while :; do /bin/sleep 1; done']);
  fs.rmSync(program);
  const { applications, immovable } = await directory.find(MARIADB);
  assert.deepEqual(applications, []);
  assert.match(immovable[0]?.why ?? '', /its program .*mariadbd is not there any more/);
});

test('a process of another boot is none of this one, though all numbers are the same', LIMITS, async () => {
  using directory = new Directory();
  const pid = await directory.run('/bin/sh', ['-c', 'echo ready; exec /bin/sleep 200']);
  const facts = await processFacts(pid);
  assert.equal(await isAlive(facts), true);
  const [, ticks] = facts.startedAt.split(' ');
  assert.match(ticks ?? '', /^\d+$/);
  assert.equal(await isAlive({ pid, startedAt: `0-0-0 ${ticks}` }), false);
});

test('one whose socket leads to another server is told nothing of that one', LIMITS, async () => {
  using directory = new Directory();
  const asked = path.join(directory.path, 'asked');
  const text = `
    process.title = 'redis-server';
    const info = 'process_id:1\\r\\n';
    require('node:net').createServer((socket) => socket.on('data', (data) => {
      const [, , word] = String(data).split('\\r\\n');
      require('node:fs').appendFileSync('${asked}', word + '\\n');
      socket.write(word === 'INFO' ? '$' + info.length + '\\r\\n' + info + '\\r\\n' : '+PONG\\r\\n');
    })).listen('${path.join(directory.path, 'socket')}', () => console.log('ready'));`;
  await directory.run(process.execPath, ['-e', text]);
  const { applications, immovable } = await directory.find(REDIS);
  assert.deepEqual(applications, []);
  assert.match(immovable[0]?.why ?? '', /another server answers in its place \(pid 1\)/);
  assert.deepEqual(fs.readFileSync(asked, 'utf8').trim().split('\n'), ['PING', 'INFO']);
});
