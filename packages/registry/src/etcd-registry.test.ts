/** The registry on a fake etcd: reading, listing, and an etcd that is another, older or damaged. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { isCoded, SeededRandom, systemClock, VirtualClock } from '@rokka/kernel';
import { encodeVersion } from './etcd-entry.ts';
import { openEtcdRegistry } from './etcd-registry.ts';
import { type Post, PostFailure } from './http-post.ts';
import { FakeEtcd } from './testing/fake-etcd.ts';
import { registryConformance } from './testing/registry-conformance.ts';
import { onVirtualTime } from './testing/virtual-time.ts';

const PREFIX = 'rokka/test/';
const ENDPOINTS = ['http://m0', 'http://m1', 'http://m2'];

const postTo =
  (etcd: FakeEtcd): Post =>
  async (_, path, body) =>
    etcd.handle(path, body);

const open = (post: Post, endpoints: readonly string[] = ENDPOINTS) =>
  openEtcdRegistry({ endpoints, prefix: PREFIX, clock: systemClock, random: new SeededRandom(1), post });

registryConformance('registry on a fake etcd', async () => {
  const etcd = new FakeEtcd();
  return { open: () => open(postTo(etcd)), async [Symbol.asyncDispose]() {} };
});

test('a list of many pages is of one revision, whatever is written meanwhile', async () => {
  const etcd = new FakeEtcd();
  let pages = 0;
  await using registry = await open(async (_, path, body) => {
    const answer = etcd.handle(path, body);
    if (body.includes('range_end')) {
      pages++;
      etcd.write(`${PREFIX}n/0999`, encodeVersion('n/0999', 'a'.repeat(32), '"late"'));
    }
    return answer;
  });
  const expected: string[] = [];
  for (let i = 0; i < 100; i++) {
    const key = `n/${String(i).padStart(4, '0')}`;
    await registry.put(key, i, 0);
    expected.push(key);
  }
  await registry.remove('n/0050', (await registry.get('n/0050'))?.revision ?? 0);
  const listed = await registry.list('n/');
  assert.deepEqual(
    listed.map(({ key }) => key),
    expected.filter((key) => key !== 'n/0050'),
  );
  assert.ok(pages > 3);
});

test('a list whose revision is compacted away on the way begins again', async () => {
  const etcd = new FakeEtcd();
  let compactions = 3;
  await using registry = await open(async (_, path, body) => {
    const answer = etcd.handle(path, body);
    if (body.includes('range_end') && compactions-- > 0)
      etcd.compact(etcd.write('elsewhere', 'by somebody else'));
    return answer;
  });
  for (let i = 0; i < 40; i++) await registry.put(`n/${i}`, i, 0);
  assert.equal((await registry.list('n/')).length, 40);
});

test('other keys of the same etcd are left alone', async () => {
  const etcd = new FakeEtcd();
  for (const key of ['rokka/tesu', 'rokka/test', 'rokka/tes', 'rokka/test0/a']) etcd.write(key, 'not ours');
  await using registry = await open(postTo(etcd));
  await registry.put('a', 1, 0);
  assert.deepEqual(
    (await registry.list('')).map(({ key }) => key),
    ['a'],
  );
});

test('a value that was damaged, or put under another key, is not believed', async () => {
  const good = encodeVersion('a', 'a'.repeat(32), '{"volumeEpoch":6}');
  const gone = encodeVersion('a', 'a'.repeat(32), undefined);
  const damaged = [
    good.replace('6', '7'),
    good.replace('live', 'gone'),
    gone.replace('gone', 'live'),
    `${gone}x`,
    good.replace('aaa', 'aab'),
    encodeVersion('b', 'a'.repeat(32), '{"volumeEpoch":6}'),
    '{"volumeEpoch":6}',
    '',
  ];
  for (const value of damaged) {
    const etcd = new FakeEtcd();
    await using registry = await open(postTo(etcd));
    etcd.write(`${PREFIX}a`, value);
    await assert.rejects(registry.get('a'), /the entry a .*snapshot save/, value);
    await assert.rejects(registry.list(''), { code: 'REGISTRY_CORRUPT' });
    await assert.rejects(registry.put('a', 1, 0), { code: 'REGISTRY_CORRUPT' });
  }
});

test('endpoints of two clusters are refused before either is written to', async () => {
  const [own, other] = [new FakeEtcd(), new FakeEtcd()];
  other.cluster = '18';
  const down = new Set<string>();
  const post: Post = async (endpoint, path, body) => {
    if (down.has(endpoint)) throw new PostFailure('connection refused', false);
    return (endpoint === 'http://m2' ? other : own).handle(path, body);
  };
  const wrong = { code: 'REGISTRY_WRONG_CLUSTER' };
  await assert.rejects(open(post), wrong);
  // Seen only once it comes up, and still before anything is written to it.
  down.add('http://m2');
  await using registry = await open(post);
  await registry.put('a', 1, 0);
  for (const endpoint of ENDPOINTS) down.add(endpoint);
  down.delete('http://m2');
  await assert.rejects(registry.put('b', 1, 0), wrong);
  assert.deepEqual(other.events, []);
});

test('an etcd that ran backwards is not believed', async () => {
  let etcd = new FakeEtcd();
  await using registry = await open(async (_, path, body) => etcd.handle(path, body));
  for (let i = 0; i < 3; i++) await registry.put(`${i}`, 1, 0);
  etcd = new FakeEtcd();
  await assert.rejects(registry.get('a'), /stands at revision 1, it was at 4 before/);
});

test('answers that cross on the way are no step backwards', async () => {
  const etcd = new FakeEtcd();
  const held: (() => void)[] = [];
  let holding = false;
  await using registry = await open(async (_, path, body) => {
    const answer = etcd.handle(path, body);
    if (holding) await new Promise<void>((resolve) => void held.push(resolve));
    return answer;
  });
  holding = true;
  const slow = registry.get('a');
  holding = false;
  assert.equal(await registry.put('a', 1, 0), 2);
  while (held.length === 0) await systemClock.sleep(1);
  for (const release of held) release();
  assert.equal(await slow, undefined);
});

test('without a majority: unavailable within its patience, naming what each endpoint said', async () => {
  const etcd = new FakeEtcd();
  const clock = new VirtualClock();
  let up = true;
  const post: Post = async (endpoint, path, body, { silenceMs }) => {
    if (up) return etcd.handle(path, body);
    if (endpoint === 'http://m0') throw new PostFailure('connection refused', false);
    if (endpoint === 'http://m1') return { status: 200, text: '<html>Sign in</html>' };
    await clock.sleep(silenceMs);
    throw new PostFailure('no answer', true);
  };
  for (let seed = 1; seed <= 6; seed++) {
    up = true;
    const random = new SeededRandom(seed);
    const opened = openEtcdRegistry({ endpoints: ENDPOINTS, prefix: PREFIX, clock, random, post });
    const registry = await onVirtualTime(clock, opened);
    up = false;
    const beganMs = clock.nowMs();
    const failed = await onVirtualTime(
      clock,
      Promise.allSettled([registry.get('a'), registry.put('a', 1, 0)]),
    );
    assert.ok(clock.nowMs() - beganMs < 5_100, `${clock.nowMs() - beganMs} ms`);
    const [read, written] = failed.map((each) =>
      each.status === 'rejected' ? String(each.reason) : 'fulfilled',
    );
    for (const said of [read, written])
      assert.match(
        said,
        /5000 ms.*m0: connection refused.*m1: HTTP 200, not an answer of etcd.*m2: no answer/,
      );
    assert.doesNotMatch(read, /unknown/);
    assert.match(written, /whether the last change took effect is unknown/);
    up = true;
    assert.equal(await onVirtualTime(clock, registry.get('a')), undefined);
  }
});

test('what etcd refuses is not asked again, and says the way out', async () => {
  const etcd = new FakeEtcd();
  let asked = 0;
  const refusing = (code: number, message: string): Promise<Awaited<ReturnType<typeof open>>> => {
    asked = 0;
    return open(async (_, path, body) => {
      if (path !== '/v3/kv/txn') return etcd.handle(path, body);
      asked++;
      return { status: 400, text: JSON.stringify({ error: message, code, message }) };
    });
  };
  for (const [code, message, expected] of [
    [3, 'etcdserver: request is too large', /value of a: .*--max-request-bytes/],
    [8, 'grpc: received message larger than max (8388651 vs. 2097152)', /value of a: .*--max-request-bytes/],
    [7, 'etcdserver: permission denied', /permission denied; .*does not sign in/],
    [3, 'etcdserver: user name is empty', /does not sign in/],
    [12, 'unknown service etcdserverpb.KV', /version 3.4 or later/],
  ] as const) {
    await using registry = await refusing(code, message);
    await assert.rejects(registry.put('a', 1, 0), expected);
    assert.equal(asked, 1);
  }
});

test('who may not read is told so when the registry is opened', async () => {
  const message = 'etcdserver: permission denied';
  const refused = { status: 403, text: JSON.stringify({ error: message, code: 7, message }) };
  await assert.rejects(
    open(async () => refused),
    { code: 'REGISTRY_REFUSED' },
  );
});

test('whatever comes back instead of an answer: an error with a code, in time', async () => {
  const outcomes = new Set<string>();
  const codeOf = (error: unknown) => {
    assert.ok(isCoded(error), error instanceof Error ? error.stack : String(error));
    return error.code;
  };
  await fc.assert(
    fc.asyncProperty(fc.nat(), async (seed) => {
      const etcd = new FakeEtcd();
      const clock = new VirtualClock();
      const random = new SeededRandom(seed);
      let rough = false;
      const post: Post = async (_, path, body) => {
        const { status, text } = etcd.handle(path, body);
        await clock.sleep(1);
        return { status, text: rough && random.chance(0.8) ? garble(text, random) : text };
      };
      const opened = openEtcdRegistry({ endpoints: ENDPOINTS, prefix: PREFIX, clock, random, post });
      const registry = await onVirtualTime(clock, opened);
      await onVirtualTime(clock, registry.put('a', { volumeEpoch: 6 }, 0));
      rough = true;
      for (const call of [
        () => registry.get('a'),
        () => registry.list(''),
        () => registry.put('a', { volumeEpoch: 7 }, 2),
        () => registry.remove('a', 3),
      ]) {
        const beganMs = clock.nowMs();
        const outcome = await onVirtualTime(
          clock,
          call().then(() => 'done', codeOf),
        );
        outcomes.add(outcome);
        assert.ok(clock.nowMs() - beganMs < 5_500);
      }
    }),
    { numRuns: 300 },
  );
  for (const outcome of ['done', 'REGISTRY_CORRUPT', 'REGISTRY_WRONG_CLUSTER'])
    assert.ok(outcomes.has(outcome), [...outcomes].join(' '));
});

const STRANGERS: readonly unknown[] = [null, 0, -1, '', 'x', '7', [], [null], {}, { kvs: 1 }, true];

/** The text as it was, with a part of it cut out or written over, or one of its values exchanged. */
function garble(text: string, random: SeededRandom): string {
  const at = random.below(text.length);
  switch (random.below(4)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(0, at) + String.fromCharCode(33 + random.below(90)) + text.slice(at + 1);
    case 2:
      return JSON.stringify(random.pick(STRANGERS));
    default:
      return JSON.stringify(JSON.parse(text), (key, value: unknown) =>
        key !== '' && random.chance(0.2) ? structuredClone(random.pick(STRANGERS)) : value,
      );
  }
}
