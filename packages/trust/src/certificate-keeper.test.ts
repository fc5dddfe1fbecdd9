import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { deadline, kernelErrors, SeededRandom, VirtualClock } from '@rokka/kernel';
import { ClusterAuthority } from './authority.ts';
import { CertificateKeeper, type KeeperOptions } from './certificate-keeper.ts';
import { readIdentityFile } from './identity-file.ts';
import { renewFrom, type Renew } from './renewal.ts';

const DAY_MS = 86_400_000;
const TEST = { timeout: 20_000 };

/** A node's keeper on a virtual clock, with a list of what happened to it. */
async function keeping(
  options: { renew?: (real: Renew) => Renew; more?: Partial<KeeperOptions>; lifetimeMs?: number } = {},
) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-trust-'));
  const clock = new VirtualClock();
  const authority = await ClusterAuthority.make({
    file: `${directory}/ca.json`,
    cluster: 'petals',
    clock,
    lifetimeMs: options.lifetimeMs ?? 30 * DAY_MS,
  });
  const file = `${directory}/identity.pem`;
  const events: string[] = [];
  let asked = 0;
  const day = () => Math.round((clock.nowMs() / DAY_MS) * 10) / 10;
  const real = renewFrom(authority);
  const renew = options.renew?.(real) ?? real;
  const settings: KeeperOptions = {
    file,
    clock,
    random: new SeededRandom(6),
    renew: async (request) => {
      asked++;
      return renew(request);
    },
    onRenewed: ({ id }) => void events.push(`${day()} renewed ${id}`),
    onFailure: (reason) => void events.push(`${day()} ${reason.code}`),
    onWarning: (warning) => void events.push(`${day()} ${warning.code}`),
    ...options.more,
  };
  const identity = await authority.issue({ role: 'node', id: 'n1', hosts: ['10.0.0.7'] });
  const keeper = CertificateKeeper.start({ ...settings, identity });
  return {
    clock,
    authority,
    file,
    events,
    keeper,
    settings,
    /** Moves time in small steps; a renewal under way ends before the next one. */
    async passDays(days: number): Promise<void> {
      const untilMs = clock.nowMs() + days * DAY_MS;
      while (clock.nowMs() < untilMs) {
        clock.advanceTo(Math.min(untilMs, clock.nextMs() ?? untilMs));
        // Without a timer it is renewing: this joins it.
        if (clock.nextMs() !== undefined) continue;
        await deadline(
          keeper.renewNow().catch(() => {}),
          { what: 'a renewal', ms: 5_000 },
        );
      }
    },
    get asked() {
      return asked;
    },
    async [Symbol.asyncDispose]() {
      await keeper[Symbol.asyncDispose]();
      fs.rmSync(directory, { recursive: true });
    },
  };
}

test('it renews between two thirds and three quarters of a life, again and again', TEST, async () => {
  await using at = await keeping();
  const first = at.keeper.identity();
  assert.equal(at.keeper.identity(), first, 'the same object while it stays');
  await at.passDays(19);
  assert.deepEqual(at.events, []);
  await at.passDays(4);
  assert.equal(at.events.length, 1);
  const second = at.keeper.identity();
  assert.notEqual(second.certificate, first.certificate);
  assert.notEqual(second.key, first.key, 'each certificate has a key of its own');
  assert.deepEqual(readIdentityFile(at.file), second);
  assert.deepEqual(at.keeper.member.hosts, ['10.0.0.7']);
  await at.passDays(70);
  assert.ok(at.events.length >= 4 && at.events.length <= 5, at.events.join('\n'));
  for (const event of at.events) assert.match(event, /renewed n1/);
  assert.equal(at.asked, at.events.length);
});

test('keepers that began together do not come together', TEST, async () => {
  const days = new Set<string>();
  for (let seed = 1; seed <= 4; seed++) {
    await using at = await keeping({ more: { random: new SeededRandom(seed) } });
    await at.passDays(23);
    days.add(at.events.join());
  }
  assert.ok(days.size > 2, [...days].join(' '));
});

test('while the authority is away it asks on, then warns, and recovers by itself', TEST, async () => {
  let away = true;
  await using at = await keeping({
    lifetimeMs: 2 * DAY_MS,
    renew: (real) => async (request) => {
      if (away) throw kernelErrors.KERNEL_DEADLINE(['a renewal', 10]);
      return real(request);
    },
  });
  const { certificate } = at.keeper.identity();
  await at.passDays(1.6);
  const failed = at.events.length;
  assert.ok(failed > 4 && failed < 30, `${failed} failures`);
  assert.ok(at.events.every((event) => event.endsWith('KERNEL_DEADLINE')));
  await at.passDays(0.35);
  assert.ok(at.events.some((event) => event.endsWith('TRUST_CERTIFICATE_ENDS')));
  assert.equal(at.keeper.identity().certificate, certificate, 'the old one holds');
  assert.ok(!at.events.some((event) => event.endsWith('TRUST_CERTIFICATE_ENDED')));
  await at.passDays(0.15);
  assert.ok(at.events.at(-1)?.endsWith('TRUST_CERTIFICATE_ENDED'));
  away = false;
  await at.passDays(0.05);
  assert.match(at.events.at(-1) ?? '', /renewed n1/);
});

test('what cannot be used replaces nothing', TEST, async () => {
  const others: Renew[] = [];
  await using at = await keeping({
    renew: (real) => async (request) => {
      const other = others.shift();
      return other ? other(request) : real(request);
    },
  });
  const { authority, keeper, clock } = at;
  const before = keeper.identity();
  const refused = async (renew: Renew, why: RegExp) => {
    others.push(renew);
    await assert.rejects(keeper.renewNow(), { code: 'TRUST_ANSWER_UNUSABLE', message: why });
    assert.equal(keeper.identity(), before);
    assert.deepEqual(readIdentityFile(at.file), before);
  };
  const { authorities } = authority;
  await refused(async () => ({ certificate: '', authorities }), /not one certificate/);
  await refused(async () => authority.issue({ role: 'node', id: 'n1', hosts: [] }), /another key/);
  await refused(
    async (request) => ({ ...(await renewFrom(authority)(request)), authorities: '' }),
    /0 authorities/,
  );
  const stranger = await ClusterAuthority.make({ file: `${at.file}.ca`, cluster: 'petals', clock });
  await refused(
    async (request) => ({ ...(await renewFrom(authority)(request)), authorities: stranger.authorities }),
    /no authority that came with it/,
  );
  await refused(
    async (request) => ({ ...(await renewFrom(authority)(request)), authorities: before.certificate }),
    /authorities/,
  );
  // The authority's clock is an hour ahead of this machine's.
  const ahead = new VirtualClock();
  ahead.advanceTo(clock.nowMs() + 3_600_000);
  const fast = ClusterAuthority.open({ file: path.join(path.dirname(at.file), 'ca.json'), clock: ahead });
  await refused(renewFrom(fast), /this machine's clock says .*set the clock/);
  await keeper.renewNow();
  assert.notEqual(keeper.identity(), before);
});

test(
  'it learns of a new authority, keeps its place after a restart, and asks for other hosts',
  TEST,
  async () => {
    await using at = await keeping();
    await at.authority.rotate();
    await at.passDays(23);
    assert.equal(at.keeper.identity().authorities, at.authority.authorities);
    await at.keeper[Symbol.asyncDispose]();
    assert.equal(at.clock.nextMs(), undefined, 'nothing is left to run');
    await using again = CertificateKeeper.open({ ...at.settings, hosts: ['10.0.0.8', 'b.example'] });
    assert.deepEqual(again.identity(), at.keeper.identity());
    await again.renewNow();
    assert.deepEqual(again.member.hosts, ['b.example', '10.0.0.8']);
  },
);

test('who asks at once shares one renewal', TEST, async () => {
  await using at = await keeping();
  await Promise.all([at.keeper.renewNow(), at.keeper.renewNow(), at.keeper.renewNow()]);
  assert.equal(at.asked, 1);
});
