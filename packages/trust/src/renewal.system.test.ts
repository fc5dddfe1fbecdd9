/** Renewal and rotation on real links, with certificates that live for seconds. */
import assert from 'node:assert/strict';
import * as path from 'node:path';
import { test } from 'node:test';
import { deadline, Deferred, systemClock, systemRandom } from '@rokka/kernel';
import { Caller, tlsNetwork, type Listener, type Network, type TlsIdentity } from '@rokka/transport';
import { CertificateKeeper } from './certificate-keeper.ts';
import { makeKey, makeRequest } from './certificates.ts';
import { joinCluster } from './join-client.ts';
import { renewFrom, renewOver } from './renewal.ts';
import { TestCluster, type ClusterOptions } from './testing/cluster.ts';

const TEST = { timeout: 300_000 };
/** What is left of it when it is renewed is a third. */
const LIFETIME_MS = 12_000;
const clock = systemClock;
const random = systemRandom;
const within = <T>(work: Promise<T>, what: string) => deadline(work, { what, ms: 120_000 });

const networkOf = (identity: () => TlsIdentity): Network => tlsNetwork({ clock, random, identity });

/** A member that joined with a token and keeps itself a member; it listens and echoes. */
class Member implements AsyncDisposable {
  readonly renewals: string[] = [];
  keeper!: CertificateKeeper;
  network!: Network;
  listener!: Listener;
  #renewed = new Deferred<void>();

  static async join(cluster: TestCluster, id: string): Promise<Member> {
    const made = new Member();
    const joined = await joinCluster({ token: await cluster.token(), id, hosts: ['127.0.0.1'], clock });
    made.network = networkOf(() => made.keeper.identity());
    made.keeper = CertificateKeeper.start({
      file: path.join(cluster.directory, `${id}.pem`),
      identity: joined.identity,
      clock,
      renew: renewOver({ network: made.network, address: cluster.renewals.address, clock }),
      onRenewed: () => {
        made.renewals.push(id);
        made.#renewed.resolve();
      },
    });
    made.listener = await made.network.listen('127.0.0.1:0', () => ({
      onFrame: (connection, { requestId, body }) => void connection.send(2, requestId, [Buffer.from(body)]),
      onClose() {},
    }));
    return made;
  }

  /** The next renewal by itself. */
  async renewed(): Promise<void> {
    this.#renewed = new Deferred();
    await within(this.#renewed.promise, 'a renewal');
  }

  link(to: Member): Promise<Caller> {
    const address = `${to.keeper.member.id}@${to.listener.address}`;
    return Caller.connect(this.network, address, { clock, timeoutMs: 30_000 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.keeper[Symbol.asyncDispose]();
    await this.listener[Symbol.asyncDispose]();
  }
}

async function ask(caller: Caller, text: string): Promise<void> {
  const { body } = await caller.call(1, [Buffer.from(text)], { timeoutMs: 30_000 });
  assert.equal(Buffer.from(body).toString(), text);
}

async function links(members: Member[], what: string): Promise<void> {
  for (const from of members)
    for (const to of members) {
      const caller = await from.link(to);
      await ask(caller, what);
      caller.connection.close();
    }
}

test('a certificate that lives for seconds is renewed by itself, time after time', TEST, async () => {
  await using cluster = await TestCluster.start({ lifetimeMs: LIFETIME_MS });
  await using keeper = CertificateKeeper.start({
    file: path.join(cluster.directory, 'ca.pem'),
    identity: cluster.identity,
    clock,
    renew: renewFrom(cluster.authority),
    onRenewed: () => {
      cluster.identity = keeper.identity();
    },
  });
  await using one = await Member.join(cluster, 'n1');
  await using two = await Member.join(cluster, 'n2');
  const startMs = clock.nowMs();
  // Longer than any certificate lives that there is now.
  while (clock.nowMs() - startMs < 2 * LIFETIME_MS + 1_000) {
    await links([one, two], 'still here');
    await clock.sleep(200);
  }
  assert.ok(one.renewals.length >= 2 && two.renewals.length >= 2, `${one.renewals.length} renewals`);
  assert.ok(one.renewals.length < 10, `${one.renewals.length} renewals`);
});

test(
  'the authority changes hands under members that renew; no link is cut, the old one ends',
  TEST,
  async () => {
    await using cluster = await TestCluster.start();
    const { authority } = cluster;
    await using one = await Member.join(cluster, 'n1');
    await using two = await Member.join(cluster, 'n2');
    const standing = await one.link(two);
    const check = async (what: string) => {
      await ask(standing, what);
      await links([one, two], what);
    };
    const old = await cluster.issue('node', 'forgotten');
    const renewAuthority = async () => {
      cluster.identity = await cluster.issue('authority', 'ca');
    };

    // The waits between the steps are a matter of the clock (authority.test.ts); here everybody has done his part.
    assert.equal(await authority.rotate(), 'announced');
    await one.keeper.renewNow();
    await check('one believes both');
    await two.keeper.renewNow();
    await renewAuthority();
    await check('all believe both');
    const late = await joinCluster({ token: await cluster.token(), id: 'n3', hosts: [], clock });
    assert.equal(late.identity.authorities, authority.authorities);

    assert.equal(await authority.rotate({ force: true }), 'switched');
    await one.keeper.renewNow();
    await check('one is of the new authority, two of the old');
    // The authority's process has an old certificate itself, then a new one.
    await renewAuthority();
    await two.keeper.renewNow();
    await check('all are of the new authority');

    assert.equal(await authority.rotate({ force: true }), 'steady');
    await one.keeper.renewNow();
    await two.keeper.renewNow();
    await renewAuthority();
    await check('the old authority is forgotten');
    const forgotten = networkOf(() => ({ ...old, authorities: authority.authorities }));
    await assert.rejects(Caller.connect(forgotten, one.listener.address, { clock, timeoutMs: 30_000 }), {
      code: 'TRANSPORT_TLS_REFUSED',
    });
    await ask(standing, 'a link from before all that');
    standing.connection.close();
  },
);

async function renewing(options: ClusterOptions = {}) {
  const cluster = await TestCluster.start(options);
  const identity = await cluster.issue('node', 'n1', ['127.0.0.1', 'n1.example']);
  const renew = renewOver({
    network: networkOf(() => identity),
    address: cluster.renewals.address,
    clock,
  });
  const requestFor = (id: string, hosts: string[], role: 'node' | 'admin' = 'node') =>
    makeRequest({ key: makeKey(), identity: { cluster: 'petals', role, id }, hosts });
  return {
    cluster,
    identity,
    renew,
    requestFor,
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}

test('a member renews itself and nobody else, for its own hosts and no others', TEST, async () => {
  await using at = await renewing();
  const { renew, requestFor, cluster } = at;
  await renew(await requestFor('n1', ['127.0.0.1', 'n1.example']));
  await renew(await requestFor('n1', ['n1.example']));
  const refused = { code: 'TRUST_RENEWAL_REFUSED' };
  await assert.rejects(renew(await requestFor('n2', ['127.0.0.1'])), refused);
  await assert.rejects(renew(await requestFor('n1', ['127.0.0.1'], 'admin')), refused);
  await assert.rejects(renew(await requestFor('n1', ['127.0.0.1', 'n2.example'])), {
    ...refused,
    message: /n2\.example/,
  });
  await assert.rejects(renew('nonsense'), refused);
  assert.deepEqual(cluster.renewed, ['n1', 'n1']);
  assert.equal(cluster.refused.length, 4);
});

test(
  'who was taken out of the cluster gets no new certificate, nobody one for another host',
  TEST,
  async () => {
    const out: string[] = [];
    await using at = await renewing({
      renewal: { mayRenew: ({ id }) => !out.includes(id) },
    });
    const { renew, requestFor } = at;
    await assert.rejects(renew(await requestFor('n1', ['10.0.0.9'])), { code: 'TRUST_RENEWAL_REFUSED' });
    out.push('n1');
    await assert.rejects(renew(await requestFor('n1', ['127.0.0.1'])), {
      code: 'TRUST_RENEWAL_REFUSED',
      message: /taken out/,
    });
  },
);

test("a person's certificate opens doors and holds none open", TEST, async () => {
  await using cluster = await TestCluster.start();
  const [person, node] = [await cluster.issue('admin', 'eva'), await cluster.issue('node', 'n1')];
  const deaf = () => ({ onFrame() {}, onClose() {} });
  await using served = await networkOf(() => person).listen('127.0.0.1:0', deaf);
  // It is the certificate's purpose that is refused, before anybody asks for the role.
  const any = tlsNetwork({ clock, random, identity: () => node, connectRoles: ['admin'] });
  await assert.rejects(any.connect(served.address, deaf(), { timeoutMs: 30_000 }), {
    code: 'TRANSPORT_TLS_UNTRUSTED',
    message: /INVALID_PURPOSE/,
  });
  await using serving = await networkOf(() => node).listen('127.0.0.1:0', deaf);
  const asked = networkOf(() => person);
  (await asked.connect(serving.address, deaf(), { timeoutMs: 30_000 })).close();
});

test('a member that poses as the place to renew is not asked', TEST, async () => {
  await using at = await renewing();
  const { cluster, identity, requestFor } = at;
  const heard: unknown[] = [];
  const thief = await cluster.issue('node', 'x1');
  await using trap = await networkOf(() => thief).listen('127.0.0.1:0', () => ({
    onFrame: (_, frame) => void heard.push(frame),
    onClose() {},
  }));
  const renew = renewOver({ network: networkOf(() => identity), address: trap.address, clock });
  await assert.rejects(renew(await requestFor('n1', [])), { code: 'TRUST_NOT_AUTHORITY' });
  assert.deepEqual(heard, []);
});

test('whoever sends other things, or too many, is sent away', TEST, async () => {
  await using at = await renewing();
  const { cluster, identity } = at;
  const connect = () =>
    Caller.connect(
      networkOf(() => identity),
      cluster.renewals.address,
      { clock, timeoutMs: 30_000 },
    );
  for (const [type, body, times] of [
    [7, 'hello', 1],
    [1, '', 1],
    [1, 'x'.repeat(100_000), 3],
  ] as const) {
    const caller = await connect();
    const asked = Array.from({ length: times }, () =>
      caller.call(type, [Buffer.from(body)], { timeoutMs: 30_000 }),
    );
    const results = await Promise.allSettled(asked);
    assert.ok(results.some((result) => result.status === 'rejected'));
  }
  assert.deepEqual(cluster.renewed, []);
});
