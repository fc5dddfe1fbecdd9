/** The whole cluster as a user without any rights: user namespaces give him the mount, and the server another number. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { TestPlace } from './testing/test-place.ts';

const UID = 65_534;
const NOBODY = ['setpriv', `--reuid=${UID}`, `--regid=${UID}`, '--clear-groups', '--'];
const nobody = (...words: string[]) => spawnSync(NOBODY[0], [...NOBODY.slice(1), ...words]).status === 0;
const skip =
  (process.getuid?.() !== 0 && 'root is needed, to become an ordinary user') ||
  (!nobody('test', '-x', process.execPath, '-a', '-r', import.meta.filename) &&
    'an ordinary user cannot read this checkout') ||
  (!nobody('unshare', '--user', '--map-root-user', '--mount', 'true') && 'user namespaces are not allowed') ||
  (!fs.existsSync('/dev/fuse') && 'there is no /dev/fuse');

/** Puts a /dev/fuse that everybody may open in the place of the machine's, for the command that follows and for it only. */
function withOpenDevice(place: TestPlace): string[] {
  const script =
    '[ -e "$0" ] || mknod "$0" c 10 229 && chmod 666 "$0" && mount --bind "$0" /dev/fuse && exec "$@"';
  const device = path.join(place.path, 'fuse');
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, device];
}

test('an ordinary user has a cluster of his own', { skip, timeout: 180_000 }, async () => {
  await using place = await TestPlace.make();
  fs.chmodSync(place.path, 0o755);
  fs.mkdirSync(place.data, { mode: 0o700 });
  fs.chownSync(place.data, UID, UID);
  await using rokka = await RokkaUnderTest.start(place, { prefix: [...withOpenDevice(place), ...NOBODY] });
  await rokka.query('create table kept as select generate_series(1, 1000) as n');
  const { supervisor, nodes, head, postgres } = await rokka.pids();
  for (const pid of [supervisor, ...nodes, head, postgres]) {
    const status = fs.readFileSync(`/proc/${pid}/status`, 'latin1');
    assert.match(status, new RegExp(`^Uid:\t${UID}\t${UID}\t${UID}\t${UID}$`, 'm'), `process ${pid}`);
  }
  rokka.kill([supervisor]);
  await rokka.up.ended();
  await place.assertNothingRuns();
  await rokka.again();
  assert.equal((await rokka.query('select n from kept')).length, 1000);
  assert.equal((await rokka.stop()).status, 0);
  place.assertNoSockets();
});
