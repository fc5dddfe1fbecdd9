/** Every kind of store, for tests that all must pass: each opens an empty one. */
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { systemClock } from '@rokka/kernel';
import { DirectoryStore } from '../directory-store.ts';
import type { ObjectStore } from '../object-store.ts';
import { S3Store } from '../s3-store.ts';
import { MemoryStore } from './memory-store.ts';
import { BUCKET, S3Server } from './s3-server.ts';

export const storeKinds: Record<string, (resources: AsyncDisposableStack) => Promise<ObjectStore>> = {
  memory: async () => new MemoryStore(),
  directory: async (resources) => {
    const root = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-store-'));
    resources.defer(() => fs.rmSync(root, { recursive: true }));
    return new DirectoryStore(path.join(root, 'not', 'there', 'yet'));
  },
  S3: (resources) => openS3(resources, ''),
  'S3 below a prefix': (resources) => openS3(resources, 'some/where/'),
};

async function openS3(resources: AsyncDisposableStack, prefix: string): Promise<ObjectStore> {
  const { endpoint } = resources.use(await S3Server.start());
  const credentials = async () => ({ accessKeyId: 'any', secretAccessKey: 'any' });
  const at = { bucket: BUCKET, region: 'us-east-1', endpoint, credentials, clock: systemClock };
  // What lies beside a prefix is nobody's business there.
  if (prefix !== '') await new S3Store({ ...at, prefix: '' }).put('some/whereabouts', [Buffer.from('x')]);
  return new S3Store({ ...at, prefix });
}
