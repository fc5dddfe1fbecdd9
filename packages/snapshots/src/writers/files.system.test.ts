import assert from 'node:assert/strict';
import * as os from 'node:os';
import { test } from 'node:test';
import { isCoded } from '@rokka/kernel';
import { files } from './files.ts';

/** What others write meanwhile is synchronized as well. */
const signal = () => AbortSignal.timeout(240_000);

test('the files of all volumes are synchronized, and nothing is held', { timeout: 300_000 }, async () => {
  const volumes = [{ volume: 'vol-1', mountPoint: os.tmpdir() }];
  const [writer] = await files.discover({ volumes, signal: signal() });
  await using _ = writer;
  assert.deepEqual(await writer.identify(signal()), [], 'it speaks for no application');
  await writer.prepare(signal());
  assert.deepEqual(await writer.freeze(signal()), { level: 'filesystem' });
  await writer.thaw(signal());
});

test(
  'a volume that is gone is a veto, and so is one that does not answer in time',
  { timeout: 300_000 },
  async () => {
    const volumes = [{ volume: 'vol-1', mountPoint: '/nonexistent' }];
    const [writer] = await files.discover({ volumes, signal: signal() });
    await using _ = writer;
    await assert.rejects(writer.freeze(signal()), (error) => {
      assert.ok(isCoded(error, 'SNAPSHOTS_VETO'));
      assert.match(error.message, /\/nonexistent/);
      return true;
    });
    await assert.rejects(writer.freeze(AbortSignal.abort()), (error) => isCoded(error, 'SNAPSHOTS_VETO'));
  },
);
