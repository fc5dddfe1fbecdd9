/** What the records of databases are opened with, by what the data directory is. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { upgradeDatabase } from '@rokka/databases';
import type { VolumeId } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { parseArguments } from '../arguments.ts';
import type { DataIdentity } from '../data-directory.ts';
import {
  type ClusterDatabasesOptions,
  headOptions,
  openDatabases,
  openSecrets,
  openSnapshots,
} from './cluster-databases.ts';

const REGISTRY = { location: 'etcd:http://one:2379' };
const BUCKET = { location: 's3://bucket', region: 'us-east-1' };

async function foundIn(part: Partial<DataIdentity>) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-directory-'));
  try {
    fs.writeFileSync(
      path.join(directory, 'rokka.json'),
      JSON.stringify({ format: 2, cluster: 'c', ...part }),
    );
    fs.mkdirSync(path.join(directory, 'secrets'));
    const registry = new MemoryRegistry();
    const of = { directory, registry };
    await openSecrets(of).begin('shop', 'hush');
    const inRegistry = (await registry.list('secrets/')).length === 1;
    return { moves: openDatabases(of).moves, inRegistry, refused: refusalOf(of) };
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

function refusalOf(of: Parameters<typeof openSnapshots>[0]): string | undefined {
  try {
    openSnapshots(of).demandBucket('shop gets no snapshot');
    return undefined;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

test('where the registry is in the directory, so are passwords and the past', async () => {
  assert.deepEqual(await foundIn({}), { moves: false, inRegistry: false, refused: undefined });
});

test('where it is in etcd passwords are in it, and the past is in a bucket or nowhere', async () => {
  const moves = { moves: true, inRegistry: true };
  assert.deepEqual(await foundIn({ registry: REGISTRY }), { ...moves, refused: 'DATABASE_NO_BUCKET' });
  assert.deepEqual(await foundIn({ registry: REGISTRY, archive: BUCKET }), { ...moves, refused: undefined });
});

test('a head archives where the past is kept, and asks for the place where there is one', () => {
  const first = { name: 'shop', engine: 'native', volumeId: 'vol-1' as VolumeId, createdAtMs: 0 } as const;
  const record = { ...upgradeDatabase(first), retentionDays: 1 };
  const place = { holder: 'one', term: 3 };
  const found = (part: Partial<DataIdentity>, of: Pick<ClusterDatabasesOptions, 'place'> = {}) => {
    const data = { path: '/d', cluster: 'c', identity: { cluster: 'c', ...part } };
    const args = parseArguments(['up']);
    const options = {
      data: data as ClusterDatabasesOptions['data'],
      args,
      headAccess: () => undefined,
      ...of,
    };
    const { archives, place: told } = headOptions(record, options);
    return { archives, told };
  };
  assert.deepEqual(found({}), { archives: true, told: undefined });
  assert.deepEqual(found({ registry: REGISTRY }, { place }), { archives: false, told: place });
  assert.deepEqual(found({ registry: REGISTRY, archive: BUCKET }, { place }), {
    archives: true,
    told: place,
  });
});
