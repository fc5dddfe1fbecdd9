/** Real servers stand still and run again as they were: by whoever stopped them, and by a process that has only what was noted down. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import { must, systemClock } from '@rokka/kernel';
import type { MountedVolume } from '../writer.ts';
import { mariadbKind } from '../writers/mariadb/kind.ts';
import { postgresql } from '../writers/postgresql.ts';
import type { PrivateServer } from '../writers/private-server.ts';
import { RedisClient } from '../writers/redis/client.ts';
import { redisKind } from '../writers/redis/kind.ts';
import { startMariadb } from '../writers/testing/mariadb-fixture.ts';
import { installedPrograms, PostgresServer } from '../writers/testing/postgres-server.ts';
import { killServersIn, skipWithout, startServer, StoreDirectory } from '../writers/testing/store.ts';
import { applicationKinds } from './kinds.ts';
import { processFacts, type ProcessFacts } from './process-facts.ts';
import { serversOn } from './servers.ts';
import { Standstill } from './standstill.ts';
import { StoppedFile } from './stopped-notes.ts';

const programs = installedPrograms().find((found) => found.skip === false);
const SKIP =
  skipWithout('mysql', ['mariadbd', 'mariadb-install-db']) ||
  skipWithout('redis', ['redis-server']) ||
  (programs ? false : 'there is no PostgreSQL');
const LIMITS = { skip: SKIP, timeout: 900_000 };
const ALL = { programs: ['postgres', 'mariadbd', 'redis-server'], parts: async (at: string) => [at] };
const deadline = (ms = 300_000) => AbortSignal.timeout(ms);

let directory: StoreDirectory;
let volumes: MountedVolume[];
let postgres: PostgresServer;
const servers: PrivateServer[] = [];

before(async () => {
  if (SKIP) return;
  directory = new StoreDirectory('postgres');
  const [data, log] = [directory.volume('data'), directory.volume('log')];
  volumes = [data, log];
  const own = (name: string, account: string) => {
    const at = path.join(data.mountPoint, name);
    fs.mkdirSync(at);
    const [uid, gid] = must(/^\w+:\w*:(\d+):(\d+)/.exec(passwd(account)))
      .slice(1)
      .map(Number);
    fs.chownSync(at, must(uid), must(gid));
    return at;
  };
  postgres = await PostgresServer.create({
    programs: must(programs),
    dataDirectory: path.join(data.mountPoint, 'pgdata'),
    walDirectory: path.join(log.mountPoint, 'wal'),
  });
  servers.push(await startMariadb(own('maria', 'mysql'), ['--max-connections=77'], deadline()));
  const redis = own('redis', 'redis');
  servers.push(
    await startServer({
      program: 'redis-server',
      dataDirectory: redis,
      args: (socket) => ['--port', '0', '--unixsocket', socket, '--dir', redis, '--maxmemory', '77mb'],
      ready: /ready to accept connections/i,
      signal: deadline(),
    }),
  );
}, LIMITS);

after(async () => {
  if (SKIP) return;
  await killServersIn(
    volumes.map(({ mountPoint }) => mountPoint),
    deadline(),
  );
  for (const server of servers) await server[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
  directory[Symbol.dispose]();
}, LIMITS);

const passwd = (account: string) =>
  must(
    fs
      .readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((line) => line.startsWith(`${account}:`)),
  );

function standstill(): Standstill {
  const stateDirectory = path.join(directory.path, 'state');
  const clock = systemClock;
  return new Standstill({
    kinds: applicationKinds({ scripts: path.join(directory.path, 'scripts'), stateDirectory, clock }),
    writers: [postgresql(), mariadbKind(), redisKind()],
    notes: new StoppedFile(stateDirectory),
    mountPointOf: () => '/mounted',
    clock,
  });
}

test(
  'servers stop, and run again as they were, though another process has to start them',
  LIMITS,
  async () => {
    const before = await Promise.all(
      (await serversOn(ALL, volumes, deadline())).map(({ pid }) => processFacts(pid)),
    );
    assert.equal(before.length, 3);
    const one = standstill();
    const { applications, immovable } = await one.look(volumes, deadline());
    assert.deepEqual(immovable, []);
    const names = applications.map(({ note }) => note.name);
    assert.equal(names.length, 3);
    // Only what was started since is ended for the sake of volumes that are thrown away.
    for (const each of applications) await each.end(deadline());
    for (const { pid } of before) assert.ok(fs.existsSync(`/proc/${pid}`));
    assert.equal((await serversOn(ALL, volumes, deadline())).length, 3);
    const said: string[] = [];
    const of = {
      command: 'c-1',
      volumes,
      after: [],
      say: (line: string) => said.push(line),
      signal: deadline(),
    };
    await one.stop(applications, of);
    assert.deepEqual(
      said,
      names.map((name) => `Stopped: ${name}\n`),
    );
    assert.deepEqual(await serversOn(ALL, volumes, deadline()), []);

    const other = standstill();
    assert.equal(other.stoppedBy, 'c-1');
    assert.deepEqual(new Set(await other.start(deadline())), new Set(names));
    assert.equal(other.stoppedBy, undefined);
    const again = await Promise.all(
      (await serversOn(ALL, volumes, deadline())).map(({ pid }) => processFacts(pid)),
    );
    const lasting = (all: readonly ProcessFacts[]) =>
      all
        // Nobody is left who reads what they said: that goes into the file of their kind.
        .map((facts) => ({ ...facts, pid: 0, startedAt: '', outputs: [] }))
        // Redis writes over how it was started; what it was told it says itself.
        .map((facts) =>
          facts.env['PATH'] === before[0]?.env['PATH'] ? facts : { ...facts, argv: [], env: {} },
        )
        .sort((a, b) => a.uid - b.uid);
    assert.deepEqual(lasting(again), lasting(before));
    await using client = await RedisClient.open(
      { server: 'the test', at: { path: must(servers[1]).socketPath } },
      deadline(),
    );
    const memory = await client.command(['CONFIG', 'GET', 'maxmemory'], deadline());
    assert.deepEqual(memory, ['maxmemory', String(77 * 1024 * 1024)]);
    const log = fs.readFileSync(path.join(directory.path, 'state', 'postgresql.log'), 'utf8');
    assert.match(log, /ready to accept connections/);
  },
);
