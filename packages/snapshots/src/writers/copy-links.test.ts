/** Which links of a copy are led to the copies, and which are a fault. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test, type TestContext } from 'node:test';
import { isCoded } from '@rokka/kernel';
import { requireSound } from './copy-links.ts';

const OPTIONS = { timeout: 10_000 };

function places(t: TestContext): { copy: string; original: string; elsewhere: string; data: string } {
  const base = fs.mkdtempSync(path.join(os.tmpdir(), 'rokka-links-'));
  t.after(() => fs.rmSync(base, { recursive: true, force: true }));
  const [copy, original, elsewhere] = ['copy', 'original', 'elsewhere'].map((name) => path.join(base, name));
  const data = path.join(copy, 'data');
  for (const directory of [data, path.join(copy, 'wal'), path.join(original, 'wal'), elsewhere])
    fs.mkdirSync(directory, { recursive: true });
  return { copy, original, elsewhere, data };
}

function look({ copy, original, data }: { copy: string; original: string; data: string }): Promise<void> {
  const volumes = { mountPoints: [copy], originals: new Map([[copy, original]]) };
  return requireSound([data], { what: 'A server', volumes, signal: AbortSignal.timeout(60_000) });
}

const isFaultOf = (part: string) => (error: unknown) =>
  isCoded(error, 'SNAPSHOTS_RESTORED_BROKEN') && error.message.includes(part);

test('links of a copy are led to the copies of what they show', OPTIONS, async (t) => {
  const at = places(t);
  fs.mkdirSync(path.join(at.data, 'deep'));
  const [whole, relative] = ['deep/whole', 'relative'].map((name) => path.join(at.data, name));
  fs.symlinkSync(path.join(at.original, 'wal'), whole);
  fs.symlinkSync('../../original/wal', relative);
  fs.symlinkSync('../wal', path.join(at.data, 'own'));
  await look(at);
  for (const link of [whole, relative]) assert.equal(fs.readlinkSync(link), path.join(at.copy, 'wal'));
  assert.equal(fs.readlinkSync(path.join(at.data, 'own')), '../wal');
});

for (const [what, target] of [
  ['elsewhere', 'elsewhere'],
  ['elsewhere by way of the original', 'original/../elsewhere'],
  ['nowhere', 'nowhere'],
] as const)
  test(`a link that leads ${what} is a fault, and stays`, OPTIONS, async (t) => {
    const at = places(t);
    const link = path.join(at.data, 'link');
    const written = `${path.dirname(at.copy)}/${target}`;
    fs.symlinkSync(written, link);
    await assert.rejects(look(at), isFaultOf(path.normalize(written)));
    assert.equal(fs.readlinkSync(link), written);
  });

test('links are looked at behind links, and those of other places are left alone', OPTIONS, async (t) => {
  const at = places(t);
  const outside = path.join(at.elsewhere, '16384');
  fs.symlinkSync(path.join(at.original, 'wal'), outside);
  fs.symlinkSync(at.elsewhere, path.join(at.copy, 'wal/out'));
  fs.symlinkSync('../wal', path.join(at.data, 'own'));
  // It leads in a circle.
  fs.symlinkSync('../data', path.join(at.copy, 'wal/back'));
  await assert.rejects(look(at), isFaultOf(at.elsewhere));
  assert.equal(fs.readlinkSync(outside), path.join(at.original, 'wal'));
});
