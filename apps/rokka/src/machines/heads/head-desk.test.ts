/** The desk and a head on a joined machine: what it gets while its volume is placed there, and that it gets nothing after that. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { DirectoryStore } from '@rokka/archive';
import type { DatabaseRecord, DatabaseSource } from '@rokka/databases';
import { asLsn, CodedError, Deferred, must, systemClock, type VolumeId } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { type Connection, placedHeadId } from '@rokka/transport';
import { ClusterAuthority, makeKey, makeRequest } from '@rokka/trust';
import { decodeAnswer, DESK } from '../desk-messages.ts';
import { bytesBehind, encodeCall, type HeadCall } from './head-calls.ts';
import { HeadDesk } from './head-desk.ts';

const MACHINE = 'node-2';
const HOSTS = ['10.0.0.2'];

async function open() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-head-desk-'));
  const registry = new MemoryRegistry();
  /** What the registry has of databases. */
  const records = new Map<string, DatabaseRecord>();
  const place = async (name: string, machine: string | undefined, source?: DatabaseSource) => {
    const files = { sizeBytes: 1, ...(machine !== undefined && { machine }) };
    const record = { name, volumeId: name, files, desired: 'running', ...(source && { source }) };
    records.set(name, record as DatabaseRecord);
  };
  const databases = {
    get: async (name: string) => {
      const record = records.get(name);
      if (record) return record;
      throw new CodedError('DATABASE_NONE', name);
    },
  };
  const store = new DirectoryStore(path.join(directory, 'archive'));
  const authority = await ClusterAuthority.make({
    file: path.join(directory, 'authority.json'),
    cluster: 'petals',
    clock: systemClock,
  });
  const refusals: CodedError[] = [];
  const onRefused = (reason: CodedError) => refusals.push(reason);
  const desk = new HeadDesk({ registry, databases, store, authority, onRefused });
  const session = desk.session();
  /** As the head of `vol-1` on the second machine. */
  const ask = async (call: HeadCall, bytes: readonly Uint8Array[] = []) => {
    const answer = new Deferred<{ said: Record<string, unknown> | undefined; bytes: string }>();
    const connection = {
      peerIdentity: {
        cluster: 'petals',
        role: 'head',
        id: placedHeadId({ volume: 'vol-1', machine: MACHINE }),
      },
      send: (type: number, _id: number, parts: Uint8Array[]) => {
        const body = Buffer.concat(parts);
        const said = decodeAnswer(body);
        answer.resolve({
          said,
          bytes: type === DESK.ANSWERED ? Buffer.from(bytesBehind(body)).toString() : '',
        });
        return true;
      },
      close: () => answer.reject(new Error('it was closed')),
    } as unknown as Connection;
    session(connection, { type: DESK.CALL, requestId: 1, body: Buffer.concat(encodeCall(call, bytes)) });
    return answer.promise;
  };
  const codeOf = async (call: HeadCall) => (await ask(call)).said?.['code'];
  return {
    registry,
    store,
    desk,
    place,
    ask,
    codeOf,
    refusals,
    [Symbol.dispose]: () => fs.rmSync(directory, { recursive: true }),
  };
}

test('it reads and changes its own volume while that is placed there, and not a moment longer', async () => {
  using of = await open();
  const { registry, place, ask, codeOf, refusals } = of;
  await registry.put('volumes/vol-1', { volumeEpoch: 1 }, 0);
  await registry.put('volumes/vol-2', { volumeEpoch: 1 }, 0);
  await place('vol-1', MACHINE);
  await place('vol-2', 'node-3');
  const { said } = await ask({ what: 'registry-get', key: 'volumes/vol-1' });
  const { revision } = must(said)['entry'] as { revision: number };
  const put: HeadCall = {
    what: 'registry-put',
    key: 'volumes/vol-1',
    value: { volumeEpoch: 2 },
    expected: revision,
  };
  assert.equal(typeof (await ask(put)).said?.['revision'], 'number');
  assert.equal(await codeOf(put), 'REGISTRY_CONFLICT');
  assert.equal(await codeOf({ what: 'registry-get', key: 'volumes/vol-2' }), 'ROKKA_HEAD_NOT_ALLOWED');
  assert.equal(await codeOf({ what: 'registry-list', prefix: '' }), 'ROKKA_HEAD_NOT_ALLOWED');
  for (const machine of ['node-3', undefined]) {
    await place('vol-1', machine);
    assert.equal(await codeOf({ what: 'registry-get', key: 'volumes/vol-1' }), 'ROKKA_NOT_PLACED');
    assert.equal(await codeOf({ what: 'store-list', prefix: 'volumes/vol-1/' }), 'ROKKA_NOT_PLACED');
  }
  assert.equal(refusals.length, 4);
});

test('an object comes in pieces, whole or not at all', async () => {
  using of = await open();
  const { place, ask, codeOf, store } = of;
  await place('vol-1', MACHINE);
  const key = 'volumes/vol-1/log/1';
  const piece = (at: number, text: string) =>
    ask({ what: 'store-put', key, at, total: 6 }, [Buffer.from(text)]);
  await piece(0, 'abc');
  assert.deepEqual(await store.list('volumes/'), []);
  assert.equal((await piece(4, 'ef')).said?.['code'], 'ARCHIVE_STORE_FAILED');
  assert.equal(
    (await piece(3, 'def')).said?.['code'],
    'ARCHIVE_STORE_FAILED',
    'what came before is forgotten',
  );
  await piece(0, 'abc');
  await piece(3, 'def');
  assert.equal((await ask({ what: 'store-read', key, at: 1, length: 4 })).bytes, 'bcde');
  assert.equal(await codeOf({ what: 'store-read', key: `${key}2`, at: 0, length: 1 }), 'ARCHIVE_NO_OBJECT');
});

test('it reads the archive that its volume was made from, and no other', async () => {
  using of = await open();
  const { place, codeOf, store } = of;
  await store.put('volumes/vol-0/x', [Buffer.from('old')]);
  const read = (volume: string): HeadCall => ({
    what: 'store-read',
    key: `volumes/${volume}/x`,
    at: 0,
    length: 3,
  });
  await place('vol-1', MACHINE);
  assert.equal(await codeOf(read('vol-0')), 'ROKKA_HEAD_NOT_ALLOWED');
  await place('vol-1', MACHINE, { archive: 'vol-0' as VolumeId, lsn: asLsn(1), materialise: false });
  assert.equal(await codeOf(read('vol-0')), undefined);
  assert.equal(await codeOf(read('vol-9')), 'ROKKA_HEAD_NOT_ALLOWED');
});

test('a certificate is for the head of a volume that is placed on the machine that asks', async () => {
  using of = await open();
  const { desk, place } = of;
  await place('vol-1', MACHINE);
  const ask = async (id: string, more: { hosts?: string[]; by?: string } = {}) => {
    const { hosts = HOSTS, by = MACHINE } = more;
    const identity = { cluster: 'petals', role: 'head', id } as const;
    return desk.certify({ id: by, hosts: HOSTS }, await makeRequest({ key: makeKey(), identity, hosts }));
  };
  assert.match((await ask(`vol-1.${MACHINE}`)).certificate, /BEGIN CERTIFICATE/);
  await assert.rejects(ask(`vol-2.${MACHINE}`), { code: 'ROKKA_NOT_PLACED' });
  await assert.rejects(ask('vol-1.node-3', { by: 'node-3' }), { code: 'ROKKA_NOT_PLACED' });
  await assert.rejects(ask(`vol-1.${MACHINE}`, { by: 'node-3' }), { code: 'ROKKA_MEMBER_UNKNOWN' });
  await assert.rejects(ask('head-1'), { code: 'ROKKA_MEMBER_UNKNOWN' }, 'one that may have all');
  await assert.rejects(ask(`vol-1.${MACHINE}`, { hosts: ['10.0.0.9'] }), { code: 'ROKKA_MEMBER_UNKNOWN' });
});
