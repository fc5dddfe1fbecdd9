/**
 * What a cluster that listens refuses, one coded line each, while it goes on: tokens that are no good, machines that are not
 * what they say, directories and registries that do not fit. On loopback; the first machine is a real one.
 */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { probeNativeSupport } from '@rokka/databases';
import { isCoded, must, systemClock, systemRandom } from '@rokka/kernel';
import { freePort, freePortRow } from '@rokka/kernel/testing';
import { decodeError, encodeHello, MESSAGE, STORAGE_PROTOCOL } from '@rokka/storage';
import { Caller, tlsNetwork } from '@rokka/transport';
import { ClusterAuthority } from '@rokka/trust';
import { RokkaCommand } from './testing/rokka-command.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { kill, TestPlace } from './testing/test-place.ts';

const support = await probeNativeSupport();
const skip = !support.possible && `native PostgreSQL cannot run here: ${JSON.stringify(support)}`;
const timeout = 600_000;
const READY_MS = 180_000;
const ASK_MS = 30_000;
/** Of the desk and the nodes. */
const PORTS = 12;
const HOST = '127.0.0.1';
const MINUTE_MS = 60_000;

describe('a cluster that listens', { skip }, () => {
  const resources = new AsyncDisposableStack();
  let place: TestPlace;
  let rokka: RokkaUnderTest;
  /** Where machines join. The ports after it are used as well. */
  let port = 0;

  before(
    async () => {
      place = resources.use(await TestPlace.make());
      port = await freePortRow(PORTS);
      rokka = resources.use(await RokkaUnderTest.start(place, { extra: ['--listen', `${HOST}:${port}`] }));
    },
    { timeout },
  );
  after(() => resources.disposeAsync(), { timeout });

  const elsewhere = (name: string) => path.join(place.path, name);
  async function token(...args: string[]): Promise<string> {
    const end = await RokkaCommand.run(['token', ...args, '--data', place.data]);
    assert.equal(end.status, 0, end.err);
    return end.out.trim();
  }
  async function joinArgs(data: string, ...args: string[]): Promise<string[]> {
    return ['join', ...args, '--data', data, '--listen', `${HOST}:${await freePort()}`];
  }
  async function refused(args: readonly string[], code: string): Promise<string> {
    const end = await RokkaCommand.run(args);
    assert.match(end.err, new RegExp(`^rokka: ${code}: [^\\n]+\\n$`));
    assert.ok(end.status === 1 || end.status === 2);
    return end.err;
  }
  async function goesOn(): Promise<void> {
    assert.equal((await rokka.query('select 1')).length, 1);
  }

  test('tokens that are no good', { timeout }, async () => {
    const data = elsewhere('wrong-token');
    await refused(await joinArgs(data, 'rokka-join-v1.nonsense'), 'TRUST_TOKEN_UNREADABLE');
    await refused(['token', '--zone', 'd', '--data', place.data], 'ROKKA_NO_ZONE');
    await refused(['token', 'revoke', '0000000000000000', '--data', place.data], 'TRUST_TOKEN_UNKNOWN');
    const ofB = await token('--zone', 'b');
    await refused(await joinArgs(data, ofB, '--zone', 'c'), 'TRUST_TOKEN_OTHER');
    const list = await token('list');
    const [id = ''] = /^[0-9a-f]{16}/m.exec(list) ?? [];
    await token('revoke', id);
    await refused(await joinArgs(data, ofB), 'TRUST_TOKEN_REVOKED');
    assert.ok(!fs.existsSync(path.join(data, 'rokka.json')));
    await goesOn();
  });

  test('directories of the wrong kind', { timeout }, async () => {
    await refused(await joinArgs(elsewhere('none')), 'ROKKA_NOT_JOINED');
    const ofA = await token('--zone', 'a');
    await refused(await joinArgs(place.data, ofA), 'ROKKA_WRONG_DIRECTORY');
    await refused(['node', 'drain', '99', '--data', place.data], 'ROKKA_NO_NODE');
  });

  test('a registry that is none, or is away, or is another', { timeout }, async () => {
    const data = elsewhere('no-registry');
    await refused(['up', '--data', data, '--registry', 'nonsense'], 'REGISTRY_BAD_LOCATION');
    await refused(['up', '--data', data, '--registry', 'sqlite:/tmp/x'], 'ROKKA_BAD_VALUE');
    const away = `etcd:http://${HOST}:${await freePort()}`;
    await refused(['up', '--data', data, '--registry', away], 'REGISTRY_UNAVAILABLE');
    assert.ok(!fs.existsSync(data));
    await refused(['up', '--data', place.data, '--registry', away], 'ROKKA_REGISTRY_FIXED');
    await refused(['up', '--standby', '--data', data], 'ROKKA_STANDBY_NEEDS');
  });

  test('members of another cluster, and strangers, get no word from a node', { timeout }, async () => {
    const foreign = await ClusterAuthority.make({
      file: elsewhere('foreign.json'),
      cluster: 'another',
      clock: systemClock,
    });
    const identity = await foreign.issue({ role: 'head', id: 'stranger', hosts: [HOST] });
    const network = tlsNetwork({ clock: systemClock, random: systemRandom, identity: () => identity });
    const knock = (at: number) =>
      network.connect(`${HOST}:${at}`, { onFrame() {}, onClose() {} }, { timeoutMs: ASK_MS });
    for (const at of [port + 1, port + 2])
      await assert.rejects(knock(at), (error) => isCoded(error, 'TRANSPORT_TLS_UNTRUSTED'));
    await goesOn();
  });

  test('certificates that are over or not yet good, and an older release', { timeout }, async () => {
    const file = path.join(place.data, 'secrets', 'authority.json');
    const knock = async (issuedMs: number, protocol: number) => {
      const clock = { ...systemClock, wallMs: () => systemClock.wallMs() + issuedMs };
      const authority = ClusterAuthority.open({ file, clock });
      const identity = await authority.issue(
        { role: 'head', id: 'late', hosts: [HOST] },
        { lifetimeMs: 10 * MINUTE_MS },
      );
      const network = tlsNetwork({ clock: systemClock, random: systemRandom, identity: () => identity });
      const [node] = (await rokka.status()).nodes;
      const caller = await Caller.connect(network, `${HOST}:${port + 2}`, {
        clock: systemClock,
        timeoutMs: ASK_MS,
      });
      try {
        const hello = encodeHello({ protocol, cluster: authority.cluster, node: must(node).node });
        const answer = await caller.call(MESSAGE.HELLO, [hello], { timeoutMs: ASK_MS });
        if (answer.type === MESSAGE.ERROR) throw decodeError(answer.body);
      } finally {
        caller.connection.close();
      }
    };
    await knock(0, STORAGE_PROTOCOL);
    const code = (wanted: string) => (error: unknown) => isCoded(error, wanted);
    await assert.rejects(knock(0, STORAGE_PROTOCOL - 1), code('STORAGE_WRONG_PROTOCOL'));
    // In TLS 1.3 whoever is refused hears of it without a reason: that is in the log of the node.
    await assert.rejects(knock(60 * MINUTE_MS, STORAGE_PROTOCOL), code('TRANSPORT_TLS_REFUSED'));
    await assert.rejects(knock(-30 * MINUTE_MS, STORAGE_PROTOCOL), code('TRANSPORT_TLS_REFUSED'));
    for (const reason of ['TRANSPORT_TLS_NOT_YET_VALID', 'TRANSPORT_TLS_EXPIRED'])
      await rokka.up.says(`rokka: storage node 1: refused: ${reason}: `, READY_MS);
    await goesOn();
  });

  test('a machine that joins: its token again, its directory twice, its end', { timeout }, async () => {
    const text = await token('--zone', 'b');
    const data = elsewhere('joined');
    let machine = new RokkaCommand(await joinArgs(data, text));
    try {
      await machine.says('rokka has joined', READY_MS);
      await refused(await joinArgs(elsewhere('again'), text), 'TRUST_TOKEN_USED');
      await refused(['up', '--data', data], 'ROKKA_WRONG_DIRECTORY');
      await refused(['node', 'list', '--data', data], 'ROKKA_WRONG_DIRECTORY');
      await refused(['node', 'replace', '7', '--data', place.data], 'ROKKA_REMOTE_REPLACE');

      fs.cpSync(data, elsewhere('copy'), { recursive: true, filter: (file) => !file.endsWith('.sock') });
      await refused(await joinArgs(elsewhere('copy')), 'ROKKA_NODE_TWICE');
      assert.ok(machine.running, 'the first one goes on');

      kill(machine.pid, 'SIGTERM');
      assert.equal((await machine.ended()).status, 0);
      await refused(await joinArgs(data, await token('--zone', 'b')), 'TRUST_TOKEN_OTHER');
      await refused(['token', '--node', '1', '--data', place.data], 'ROKKA_NO_NODE');
      machine = new RokkaCommand(await joinArgs(data, await token('--node', '7')));
      await machine.says('rokka has joined', READY_MS);
      assert.match(machine.out, /node 7, zone b/);

      const removed = await RokkaCommand.run(['node', 'remove', '7', '--data', place.data]);
      assert.equal(removed.status, 0, removed.err);
      const end = await machine.ended();
      assert.equal(end.status, 1);
      assert.match(end.err, /^rokka: ROKKA_NODE_REMOVED: [^\n]+\n$/);
      await refused(await joinArgs(data), 'ROKKA_NODE_REMOVED');
    } finally {
      if (machine.running) kill(machine.pid, 'SIGTERM');
    }
    await goesOn();
  });

  test('it remembers that it listens', { timeout }, async () => {
    await rokka.stop();
    const up = new RokkaCommand(['up', '--data', place.data, '--port', String(place.port)]);
    await up.says('rokka is up', READY_MS);
    await token('--zone', 'a');
    kill(up.pid, 'SIGINT');
    assert.equal((await up.ended()).status, 0);
  });
});
