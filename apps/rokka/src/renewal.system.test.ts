/**
 * A cluster of several machines whose certificates live for seconds: every process renews its own, the links that end with the
 * old ones are made with the next, and clients notice nothing. A certificate that is over opens no door. On loopback.
 */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { probeNativeSupport } from '@rokka/databases';
import { isCoded, must, type NodeId, systemClock, systemRandom } from '@rokka/kernel';
import { freePortRow } from '@rokka/kernel/testing';
import { MESSAGE, NodeClient } from '@rokka/storage';
import { type TlsIdentity, tlsNetwork } from '@rokka/transport';
import { CertificateKeeper, ClusterAuthority, readIdentityFile, renewOver } from '@rokka/trust';
import { askControl, CONTROL } from './control.ts';
import { DataDirectory, dataPaths } from './data-directory.ts';
import type { JoinedStatus, NodeStatus } from './status.ts';
import { assertIntact } from './testing/integrity.ts';
import { Load } from './testing/load.ts';
import { until } from './testing/netns.ts';
import { RokkaCommand } from './testing/rokka-command.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { kill, TestPlace } from './testing/test-place.ts';

const support = await probeNativeSupport();
const skip = !support.possible && `native PostgreSQL cannot run here: ${JSON.stringify(support)}`;
const timeout = 900_000;
const READY_MS = 180_000;
const ASK_MS = 10_000;
const HOST = '127.0.0.1';
const COMMITS = 100;
/** Renewed every 14 to 16 s. A process that starts must come to that before its certificate is over, on a busy machine, too. */
const LIFETIME_MS = 24_000;
const RENEWALS = 3;
/** Of the desk, the nodes, and two machines that join. */
const PORTS = 18;
const JOINING = [15, 16] as const;

describe('certificates in a running cluster', { skip }, () => {
  const resources = new AsyncDisposableStack();
  let place: TestPlace;
  let rokka: RokkaUnderTest;
  let load: Load;
  /** Where machines join. The ports after it are used as well. */
  let port = 0;

  before(
    async () => {
      place = resources.use(await TestPlace.make());
      port = await freePortRow(PORTS);
      await makeAuthority(place.data);
      rokka = resources.use(await RokkaUnderTest.start(place, { extra: ['--listen', `${HOST}:${port}`] }));
      load = resources.use(await Load.make(rokka, COMMITS));
    },
    { timeout },
  );
  after(() => resources.disposeAsync(), { timeout });

  /** The directory of a machine that is about to make its cluster, and has an authority of its own kind already. */
  async function makeAuthority(directory: string): Promise<void> {
    const cluster = systemRandom.hex(16);
    using data = DataDirectory.open(directory, () => ({ cluster }));
    const file = dataPaths.authority(data.path);
    await ClusterAuthority.make({ file, cluster, clock: systemClock, lifetimeMs: LIFETIME_MS });
  }

  const elsewhere = (name: string) => path.join(place.path, name);
  async function join(name: string, offset: number): Promise<RokkaCommand> {
    const { out, err, status } = await RokkaCommand.run(['token', '--zone', 'b', '--data', place.data]);
    assert.equal(status, 0, err);
    const listen = `${HOST}:${port + offset}`;
    const args = ['join', out.trim(), '--data', elsewhere(name), '--listen', listen];
    const machine = new RokkaCommand(args);
    resources.defer(async () => {
      if (machine.running) kill(machine.pid, 'SIGTERM');
      await machine.ended();
    });
    await machine.says('rokka has joined', READY_MS);
    return machine;
  }
  const remoteNodes = async () => (await rokka.status()).nodes.filter(({ machine }) => machine !== undefined);
  const pids = async () => {
    const { head, nodes } = await rokka.status();
    return [head.pid, ...nodes.map(({ pid }) => pid)];
  };
  const takesPart = ({ node }: NodeStatus) =>
    rokka.until('the joined node takes part', ({ head }) => {
      const group = head.detail?.groups[0];
      const member = group?.members.find((one) => one.node === node);
      return group?.changes.length === 0 && member !== undefined && member.fenced && !member.hydrating;
    });

  /** As who has the identity: whether the node of this address answers. */
  async function ask(identity: TlsIdentity, of: { node: NodeId; at: string }): Promise<void> {
    const network = tlsNetwork({ clock: systemClock, random: systemRandom, identity: () => identity });
    const client = await NodeClient.connect({
      network,
      address: `${of.node}@${of.at}`,
      hello: { cluster: (await rokka.status()).cluster, node: of.node },
      clock: systemClock,
      timeoutMs: ASK_MS,
    });
    try {
      await client.request(MESSAGE.STATUS, [], { timeoutMs: ASK_MS });
    } finally {
      client.close();
    }
  }

  test(
    'all of them are renewed under load, the links with them, and an old one is refused',
    { timeout },
    async (t) => {
      const machine = await join('second', JOINING[0]);
      const [remote] = await remoteNodes();
      const second = must(remote);
      const drained = must((await rokka.status()).nodes.find(({ zone }) => zone === 'b'));
      await askControl(place.data, CONTROL.NODE, { action: 'drain', ordinal: drained.ordinal });
      await takesPart(second);

      const joinedFile = dataPaths.certificate(elsewhere('second'), 'node-1');
      const old = readIdentityFile(joinedFile);
      const oldEndsMs = new X509Certificate(old.certificate).validToDate.getTime();
      const before = await pids();
      await load.around(async () => {
        const files = [...fs.globSync(path.join(dataPaths.secrets(place.data), '*.pem')), joinedFile];
        assert.ok(
          files.length >= 9,
          `of desk, head, six nodes and a machine that joined: ${files.join(', ')}`,
        );
        await renewedAgain(files);
        await takesPart(second);
        load.assertNoneFailed();
      });
      t.diagnostic(await load.verify());
      await assertIntact(rokka);
      assert.deepEqual(await pids(), before, 'every process has lived through it');
      assert.ok(machine.running);
      const own = await askControl<JoinedStatus>(elsewhere('second'), CONTROL.STATUS);
      assert.deepEqual([own.node.restarts, own.node.error], [0, undefined], 'its machine is registered');

      // Whoever has nothing but the first certificate is out, at a node, and where certificates are renewed.
      assert.ok(systemClock.wallMs() > oldEndsMs);
      const first = must((await rokka.status()).nodes.find(({ ordinal }) => ordinal === 1));
      const nodeOne = { node: first.node, at: `${HOST}:${port + 2}` };
      const isRefused = (error: unknown) => isCoded(error, 'TRANSPORT_TLS_REFUSED');
      await ask(readIdentityFile(joinedFile), nodeOne);
      await assert.rejects(ask(old, nodeOne), isRefused);
      await rokka.up.says('rokka: storage node 1: refused: TRANSPORT_TLS_EXPIRED: ', READY_MS);
      await using late = keeperOf(old);
      await assert.rejects(late.renewNow(), isRefused);

      // Links that nobody had before: of a machine that joins only now, and of the first one to it.
      await join('third', JOINING[1]);
      await until('the first machine hears of both', async () => {
        const nodes = await remoteNodes();
        return nodes.length === 2 && nodes.every(({ detail }) => detail !== undefined);
      });
    },
  );

  /** Each file has held so many certificates more. */
  async function renewedAgain(files: readonly string[]): Promise<void> {
    const serials = new Map(files.map((file) => [file, new Set<string>()]));
    await until(
      `${RENEWALS} renewals each`,
      async () => {
        for (const [file, seen] of serials)
          seen.add(new X509Certificate(readIdentityFile(file).certificate).serialNumber);
        const fewest = [...serials]
          .filter(([, seen]) => seen.size <= RENEWALS)
          .map(([file]) => path.basename(file));
        assert.deepEqual(fewest, [], 'too few renewals');
        return true;
      },
      RENEWALS * 3 * LIFETIME_MS,
    );
  }

  /** Of a member that comes too late. */
  function keeperOf(identity: TlsIdentity): CertificateKeeper {
    const network = tlsNetwork({ clock: systemClock, random: systemRandom, identity: () => identity });
    const renew = renewOver({ network, address: `${HOST}:${port + 1}`, clock: systemClock });
    return CertificateKeeper.start({ file: elsewhere('late.pem'), identity, renew, clock: systemClock });
  }
});
