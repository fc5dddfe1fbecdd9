/** The writer against real servers under load; the snapshot is a copy made while no thread of the server makes a step. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCoded, systemClock, type Clock } from '@rokka/kernel';
import type { MountedVolume } from '../../writer.ts';
import type { PrivateServer } from '../private-server.ts';
import { freezeAndDie, preparedWriter, skipWithout, startServer, StoreDirectory } from '../testing/store.ts';
import { RedisClient } from './client.ts';
import { findRedis } from './copies.ts';
import { redisKind } from './kind.ts';
import { LEASE_MS } from './pause.ts';
import { startRestoredRedis } from './restored.ts';

const LIMITS = { skip: skipWithout('redis', ['redis-server']), timeout: 600_000 };
const LOG = ['--appendonly', 'yes', '--appendfsync'];
const deadline = (ms = 120_000) => AbortSignal.timeout(ms);

async function startRedis(data: MountedVolume, args: readonly string[]): Promise<PrivateServer> {
  return startServer({
    program: 'redis-server',
    dataDirectory: data.mountPoint,
    args: (socket) => ['--port', '0', '--unixsocket', socket, '--dir', data.mountPoint, ...args],
    ready: /Ready to accept connections|now ready to accept connections/,
    signal: deadline(),
  });
}

function connect(server: PrivateServer): Promise<RedisClient> {
  return RedisClient.open({ server: 'the test', at: { path: server.socketPath } }, deadline());
}

/** Sets one key after the other with four clients, and keeps how many each has had acknowledged. */
class RedisLoad implements AsyncDisposable {
  readonly acknowledged = [0, 0, 0, 0];
  readonly #clients: RedisClient[] = [];
  readonly #work: Promise<void>[] = [];

  static async start(server: PrivateServer): Promise<RedisLoad> {
    const load = new RedisLoad();
    for (const of of load.acknowledged.keys()) {
      const client = await connect(server);
      load.#clients.push(client);
      load.#work.push(load.#set(client, of));
    }
    return load;
  }

  async grows(keys: number, signal: AbortSignal): Promise<void> {
    const goal = this.acknowledged.map((count) => count + keys);
    while (this.acknowledged.some((count, of) => count < goal[of])) await systemClock.sleep(5, signal);
  }

  async #set(client: RedisClient, of: number): Promise<void> {
    try {
      for (;;) {
        await client.command(['SET', `${of}:${this.acknowledged[of]}`, 'x'.repeat(100)]);
        this.acknowledged[of] += 1;
      }
    } catch {
      // The client is closed, or the server gone.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) client.close();
    await Promise.all(this.#work);
  }
}

/** Every acknowledged key is in a copy that starts with nothing to repair. */
async function copyHasAll(args: readonly string[]): Promise<void> {
  using directory = new StoreDirectory('redis');
  const data = directory.volume('data');
  await using server = await startRedis(data, args);
  await using load = await RedisLoad.start(server);
  await load.grows(2000, deadline());
  await using writer = await preparedWriter(redisKind(), [data], deadline());
  await load.grows(200, deadline());
  const frozen = await writer.freeze(deadline());
  const acknowledged = [...load.acknowledged];
  assert.equal(frozen.level, 'application');
  assert.match(frozen.position ?? '', /^[0-9a-f]{40}:\d+$/);
  const copy = directory.copy(server, data);
  assert.deepEqual(load.acknowledged, acknowledged, 'nobody wrote meanwhile');
  await writer.thaw(deadline());
  await load.grows(1, deadline());

  const volumes = { mountPoints: [copy] };
  const [found] = await findRedis({ ...volumes, signal: deadline() });
  await using restored = await startRestoredRedis({ copy: found, volumes, signal: deadline() });
  for (const [of, count] of acknowledged.entries())
    for (const at of [0, count - 1])
      assert.equal(await restored.client.command(['EXISTS', `${of}:${at}`], deadline()), 1, `${of}:${at}`);
  assert.equal(
    restored.keys,
    acknowledged.reduce((sum, count) => sum + count),
  );
}

for (const [what, args] of [
  ['an append-only file that is synced every second', [...LOG, 'everysec']],
  ['an append-only file that is never synced', [...LOG, 'no']],
  ['dumps only', ['--save', '3600 1']],
] as const)
  test(`a copy made under load has all that was acknowledged: ${what}`, LIMITS, () => copyHasAll(args));

test('an append-only file that is being rewritten is waited for', LIMITS, async () => {
  using directory = new StoreDirectory('redis');
  const data = directory.volume('data');
  // It takes ten seconds: whoever comes late finds it under way still.
  await using server = await startRedis(data, [...LOG, 'everysec', '--rdb-key-save-delay', '5000']);
  await using client = await connect(server);
  for (let key = 0; key < 2000; key += 1) await client.command(['SET', `k${key}`, 'x'], deadline());
  await client.command(['BGREWRITEAOF'], deadline());
  const [writer] = await redisKind().discover({ volumes: [data], signal: deadline() });
  await writer.identify(deadline());
  await assert.rejects(writer.prepare(deadline(200)));
  await writer.abort(deadline());
  await using again = await preparedWriter(redisKind(), [data], deadline());
  assert.equal((await client.info(deadline()))['aof_rewrite_in_progress'], '0');
  await again.freeze(deadline());
  await again.thaw(deadline());
});

test('a dump that is not done in time is a veto, and clients go on', LIMITS, async () => {
  using directory = new StoreDirectory('redis');
  const data = directory.volume('data');
  await using server = await startRedis(data, ['--save', '3600 1', '--rdb-key-save-delay', '20000']);
  await using load = await RedisLoad.start(server);
  await load.grows(500, deadline());
  await using writer = await preparedWriter(redisKind(), [data], deadline());
  await assert.rejects(writer.freeze(deadline(1000)), /aborted due to timeout/);
  await writer.abort(deadline());
  await load.grows(10, deadline(LEASE_MS / 2));
  // It would wait for its dump.
  server.kill('SIGKILL');
});

test('a server that is told to keep nothing is left alone', LIMITS, async () => {
  using directory = new StoreDirectory('redis');
  const data = directory.volume('data');
  await using server = await startRedis(data, ['--save', '']);
  await using writer = await preparedWriter(redisKind(), [data], deadline());
  assert.equal((await writer.freeze(deadline())).level, 'crash');
  await writer.thaw(deadline());
  await using client = await connect(server);
  assert.equal((await client.info(deadline()))['rdb_saves'], '0');
});

test('a password is asked for, and told', LIMITS, async () => {
  using directory = new StoreDirectory('redis');
  const data = directory.volume('data');
  await using _ = await startRedis(data, ['--requirepass', 'secret']);
  await assert.rejects(preparedWriter(redisKind(), [data], deadline()), (error) =>
    isCoded(error, 'SNAPSHOTS_SERVER_SILENT'),
  );
  await using writer = await preparedWriter(redisKind({ password: 'secret' }), [data], deadline());
  await writer.freeze(deadline());
  await writer.thaw(deadline());
});

test('when the process that holds is killed, the pause ends by itself', LIMITS, async () => {
  using directory = new StoreDirectory('redis');
  const data = directory.volume('data');
  await using server = await startRedis(data, [...LOG, 'everysec']);
  await using load = await RedisLoad.start(server);
  await freezeAndDie('redis', [data]);
  await load.grows(10, deadline(LEASE_MS + 60_000));
});

test('a pause outlives its lease while it is renewed', LIMITS, async () => {
  using directory = new StoreDirectory('redis');
  const data = directory.volume('data');
  await using server = await startRedis(data, [...LOG, 'everysec']);
  await using load = await RedisLoad.start(server);
  await using writer = await preparedWriter(redisKind(), [data], deadline());
  await writer.freeze(deadline());
  const { acknowledged } = load;
  const before = [...acknowledged];
  await systemClock.sleep(LEASE_MS + 2000);
  assert.deepEqual(acknowledged, before);
  await writer.thaw(deadline());
});

test('a thaw says so where the pause had ended', LIMITS, async () => {
  using directory = new StoreDirectory('redis');
  const data = directory.volume('data');
  await using server = await startRedis(data, [...LOG, 'everysec']);
  await using load = await RedisLoad.start(server);
  await using admin = await connect(server);
  await using ended = await preparedWriter(redisKind(), [data], deadline());
  await ended.freeze(deadline());
  await admin.command(['CLIENT', 'UNPAUSE'], deadline());
  await load.grows(1, deadline());
  await assert.rejects(ended.thaw(deadline()), (error) => isCoded(error, 'SNAPSHOTS_NOT_HELD'));

  // A process that stood still for longer than its lease, which its clock tells it.
  let lateMs = 0;
  const clock: Clock = { ...systemClock, nowMs: () => systemClock.nowMs() + lateMs };
  await using late = await preparedWriter(redisKind({ clock }), [data], deadline());
  await late.freeze(deadline());
  lateMs = LEASE_MS + 1;
  await assert.rejects(late.thaw(deadline()), (error) => isCoded(error, 'SNAPSHOTS_NOT_HELD'));
  await load.grows(1, deadline());

  await using dead = await preparedWriter(redisKind(), [data], deadline());
  await dead.freeze(deadline());
  server.kill('SIGKILL');
  await server.exited;
  await assert.rejects(dead.thaw(deadline()), (error) => isCoded(error, 'SNAPSHOTS_NOT_HELD'));
});

test('what is not on the volumes is no writer of them', LIMITS, async () => {
  using directory = new StoreDirectory('redis');
  const [data, other] = [directory.volume('data'), directory.volume('other')];
  await using _ = await startRedis(data, []);
  assert.deepEqual(await redisKind().discover({ volumes: [other], signal: deadline() }), []);
});
