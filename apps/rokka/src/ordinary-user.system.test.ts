/** The whole cluster as a user without any rights: user namespaces give him the mount, and the server another number. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';
import * as ec2 from '@aws-sdk/client-ec2';
import { must } from '@rokka/kernel';
import { freePort } from '@rokka/kernel/testing';
import { CloudUnderTest } from './testing/cloud-under-test.ts';
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

test('an ordinary user has a cluster of his own', { skip, timeout: 600_000 }, async () => {
  await using place = await TestPlace.make();
  fs.chmodSync(place.path, 0o755);
  fs.mkdirSync(place.data, { mode: 0o700 });
  fs.chownSync(place.data, UID, UID);
  const port = await freePort();
  await using rokka = await RokkaUnderTest.start(place, {
    prefix: [...withOpenDevice(place), ...NOBODY],
    env: { ROKKA_AWS_PORT: String(port) },
  });
  await rokka.query('create table kept as select generate_series(1, 1000) as n');
  const { supervisor, nodes, head, postgres } = await rokka.pids();
  for (const pid of [supervisor, ...nodes, head, postgres]) {
    const status = fs.readFileSync(`/proc/${pid}/status`, 'latin1');
    assert.match(status, new RegExp(`^Uid:\t${UID}\t${UID}\t${UID}\t${UID}$`, 'm'), `process ${pid}`);
  }
  await copyBoot(await CloudUnderTest.start(rokka, port));
  rokka.kill([supervisor]);
  await rokka.up.ended();
  await place.assertNothingRuns();
  await rokka.again();
  assert.equal((await rokka.query('select n from kept')).length, 1000);
  assert.equal((await rokka.stop()).status, 0);
  place.assertNoSockets();
});

/** Volumes are mounted by root alone; the state of the cluster is copied without a mount. */
async function copyBoot(cloud: CloudUnderTest): Promise<void> {
  const client = new ec2.EC2Client(cloud.client(cloud.administratorKey()));
  const { Volumes = [] } = await client.send(new ec2.DescribeVolumesCommand({}));
  const { SnapshotId } = await client.send(new ec2.CreateSnapshotCommand({ VolumeId: Volumes[0].VolumeId }));
  const waiting = { client, maxWaitTime: 300, minDelay: 1, maxDelay: 1 };
  await ec2.waitUntilSnapshotCompleted(waiting, { SnapshotIds: [must(SnapshotId)] });
}
