import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { VirtualClock } from '@rokka/kernel';
import { identityOfCertificate } from '@rokka/transport';
import { CLOCK_SLACK_MS, ClusterAuthority } from './authority.ts';
import { keyPin, makeKey, makeRequest, readRequest } from './certificates.ts';

const DAY_MS = 86_400_000;

function temporary() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-trust-'));
  return {
    file: path.join(directory, 'ca', 'authority.json'),
    [Symbol.dispose]: () => fs.rmSync(directory, { recursive: true }),
  };
}

const identity = { cluster: 'petals', role: 'node', id: 'n1' } as const;
const certificatesIn = (pem: string) =>
  (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map(
    (text) => new X509Certificate(text),
  );

async function request(of: Partial<Parameters<typeof makeRequest>[0]> = {}) {
  return readRequest(await makeRequest({ key: makeKey(), identity, hosts: ['10.0.0.7'], ...of }));
}

test('a certificate says what was asked for, and for how long', async () => {
  using at = temporary();
  const clock = new VirtualClock();
  const authority = await ClusterAuthority.make({ file: at.file, cluster: 'petals', clock });
  const key = makeKey();
  const hosts = ['Node-1.Example', '10.0.0.7', '2001:db8:0::7', '10.0.0.7'];
  const issued = await authority.sign(await request({ key, hosts }));
  const [certificate] = certificatesIn(issued.certificate);
  const [root] = certificatesIn(issued.authorities);
  assert.ok(certificate && root);
  assert.ok(
    certificate.checkIssued(root) && certificate.verify(root.publicKey) && root.ca && !certificate.ca,
  );
  assert.deepEqual(identityOfCertificate(certificate, 'a test'), {
    ...identity,
    hosts: ['node-1.example', '10.0.0.7', '2001:db8::7'],
    validFromMs: clock.wallMs() - CLOCK_SLACK_MS,
    validToMs: clock.wallMs() + 30 * DAY_MS,
  });
  assert.equal(root.validToDate.getTime(), clock.wallMs() + 3650 * DAY_MS);
  assert.deepEqual(authority.pins, [keyPin(root.publicKey)]);
  assert.match(certificate.serialNumber, /^01[0-9A-F]{32}$/);
  const other = certificatesIn((await authority.sign(await request())).certificate)[0];
  assert.notEqual(other?.serialNumber, certificate.serialNumber);
});

test('an authority comes back from its file, which only its owner may read', async () => {
  using at = temporary();
  const clock = new VirtualClock();
  const made = await ClusterAuthority.make({ file: at.file, cluster: 'petals', clock, lifetimeMs: DAY_MS });
  assert.equal(fs.statSync(at.file).mode & 0o777, 0o600);
  assert.equal(fs.statSync(path.dirname(at.file)).mode & 0o777, 0o700);
  assert.deepEqual(fs.readdirSync(path.dirname(at.file)), ['authority.json']);
  await made.rotate();
  const opened = ClusterAuthority.open({ file: at.file, clock });
  for (const name of ['cluster', 'phase', 'lifetimeMs', 'authorities', 'pins', 'nextStepMs'] as const)
    assert.deepEqual(opened[name], made[name], name);
  const again = ClusterAuthority.make({ file: at.file, cluster: 'petals', clock });
  await assert.rejects(again, { code: 'TRUST_FILE_EXISTS' });
  fs.chmodSync(at.file, 0o640);
  assert.throws(() => ClusterAuthority.open({ file: at.file, clock }), {
    code: 'TRUST_FILE_OPEN',
    message: /0640/,
  });
  assert.throws(() => ClusterAuthority.open({ file: `${at.file}.none`, clock }), {
    code: 'TRUST_FILE_MISSING',
  });
});

test('a damaged file is named as such', async () => {
  using at = temporary();
  const clock = new VirtualClock();
  await ClusterAuthority.make({ file: at.file, cluster: 'petals', clock });
  const text = fs.readFileSync(at.file, 'utf8');
  const state = JSON.parse(text) as Record<string, unknown> & { signing: { certificate: string } };
  for (const damaged of [
    '',
    text.slice(0, -10),
    JSON.stringify({ ...state, format: 'rokka-authority-9' }),
    JSON.stringify({ ...state, phase: 'announced' }),
    JSON.stringify({ ...state, lifetimeMs: 'long' }),
    JSON.stringify({ ...state, signing: { ...state.signing, key: makeKey() } }),
    JSON.stringify({ ...state, signing: undefined }),
  ]) {
    fs.writeFileSync(at.file, damaged);
    assert.throws(
      () => ClusterAuthority.open({ file: at.file, clock }),
      { code: 'TRUST_FILE_UNREADABLE' },
      damaged,
    );
  }
});

test('it signs for its own cluster and within its own time', async () => {
  using at = temporary();
  const clock = new VirtualClock();
  const authority = await ClusterAuthority.make({
    file: at.file,
    cluster: 'petals',
    clock,
    lifetimeMs: 10 * DAY_MS,
    authorityLifetimeMs: 20 * DAY_MS,
  });
  const foreign = await request({ identity: { ...identity, cluster: 'leaves' } });
  await assert.rejects(authority.sign(foreign), { code: 'TRUST_WRONG_CLUSTER' });
  const endOf = async (lifetimeMs?: number) => {
    const issued = await authority.sign(await request(), lifetimeMs ? { lifetimeMs } : {});
    return (certificatesIn(issued.certificate)[0]?.validToDate.getTime() ?? 0) - clock.wallMs();
  };
  assert.equal(await endOf(), 10 * DAY_MS);
  assert.equal(await endOf(DAY_MS), DAY_MS);
  assert.equal(await endOf(99 * DAY_MS), 10 * DAY_MS, 'never longer than the steps of a rotation count on');
  clock.advanceTo(15 * DAY_MS);
  assert.equal(await endOf(), 5 * DAY_MS, 'never longer than the authority');
  clock.advanceTo(20 * DAY_MS);
  await assert.rejects(authority.sign(await request()), { code: 'TRUST_AUTHORITY_ENDED' });
  await assert.rejects(ClusterAuthority.make({ file: at.file, cluster: 'no/petals', clock }), {
    code: 'TRUST_BAD_NAME',
  });
});

test('a rotation waits, at each step, for whoever has not renewed', async () => {
  using at = temporary();
  const clock = new VirtualClock();
  const authority = await ClusterAuthority.make({
    file: at.file,
    cluster: 'petals',
    clock,
    lifetimeMs: DAY_MS,
  });
  const [first = ''] = authority.pins;
  const signer = async () => {
    const { certificate, authorities } = await authority.sign(await request());
    const believed = certificatesIn(authorities);
    const [leaf] = certificatesIn(certificate);
    const by = believed.find((root) => leaf?.verify(root.publicKey));
    assert.equal(by, believed[0], 'the one that signs comes first');
    return { by: by && keyPin(by.publicKey), believed: believed.map((root) => keyPin(root.publicKey)) };
  };
  assert.equal(await authority.rotate(), 'announced');
  const [, second = ''] = authority.pins;
  assert.notEqual(first, second);
  assert.deepEqual(await signer(), { by: first, believed: [first, second] });

  clock.advanceTo(DAY_MS);
  await assert.rejects(authority.rotate(), { code: 'TRUST_ROTATION_EARLY' });
  assert.equal(authority.phase, 'announced');
  clock.advanceTo(DAY_MS + CLOCK_SLACK_MS);
  assert.equal(await authority.rotate(), 'switched');
  assert.deepEqual(authority.pins, [second]);
  assert.deepEqual(await signer(), { by: second, believed: [second, first] });
  const { signing, previous } = JSON.parse(fs.readFileSync(at.file, 'utf8')) as Record<string, unknown>;
  assert.ok(signing && typeof previous === 'string', 'the old key is gone');

  await assert.rejects(authority.rotate(), { code: 'TRUST_ROTATION_EARLY' });
  const forced = ClusterAuthority.open({ file: at.file, clock });
  assert.equal(await forced.rotate({ force: true }), 'steady');
  assert.deepEqual(forced.pins, [second]);
  clock.advanceTo(2 * (DAY_MS + CLOCK_SLACK_MS));
  assert.equal(await authority.rotate(), 'steady');
  assert.deepEqual(await signer(), { by: second, believed: [second] });
});
