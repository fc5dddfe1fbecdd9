/** Volumes whose head is killed while programs have files open on them: they go on, and what was answered is there, also where they are detached meanwhile. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';
import * as ec2 from '@aws-sdk/client-ec2';
import { must, systemClock } from '@rokka/kernel';
import { freePort } from '@rokka/kernel/testing';
import { readIdentity } from './data-directory.ts';
import { kernelResends } from './processes/legacy-fds.ts';
import { CloudUnderTest } from './testing/cloud-under-test.ts';
import { Ec2UnderTest } from './testing/ec2-under-test.ts';
import { RokkaUnderTest } from './testing/rokka-under-test.ts';
import { TestPlace } from './testing/test-place.ts';
import { whySkipped } from './testing/why-skipped.ts';

const skip = whySkipped({ root: true }) || (kernelResends() ? false : 'needs Linux 6.9');
const timeout = 600_000;
const mounts = () => fs.readFileSync('/proc/self/mounts', 'utf8');

test(
  'who has files open does not notice; a detachment waits for who takes over',
  { skip, timeout },
  async () => {
    await using place = await TestPlace.make();
    const port = await freePort();
    await using rokka = await RokkaUnderTest.start(place, { env: { ROKKA_AWS_PORT: String(port) } });
    const cloud = await CloudUnderTest.start(rokka, port);
    const client = new ec2.EC2Client(cloud.client(cloud.administratorKey()));
    const own = new Ec2UnderTest(client, must(readIdentity(place.data)).cluster);
    const VolumeId = await own.volume({ Size: 1 });
    const directory = await own.attach(VolumeId, 'sdf');
    const head = async () => {
      const { databases } = await rokka.until('the volume has a head', ({ databases: all }) =>
        all.some(({ name, pid }) => name === VolumeId && pid !== undefined),
      );
      return must(databases.find(({ name }) => name === VolumeId)?.pid);
    };

    const fd = fs.openSync(path.join(directory, 'open'), 'w+');
    fs.unlinkSync(path.join(directory, 'open'));
    for (let round = 0; round < 3; round++) {
      fs.writeSync(fd, `${round}`, round);
      rokka.kill([await head()]);
      fs.fsyncSync(fd);
      assert.equal(fs.readSync(fd, Buffer.alloc(10), 0, 10, 0), round + 1);
      await systemClock.sleep(600);
    }
    fs.closeSync(fd);

    const { nodes } = await rokka.pids();
    const pid = await head();
    rokka.kill(nodes.slice(0, 4), 'SIGSTOP');
    fs.writeFileSync(path.join(directory, 'answered'), 'and not durable yet');
    rokka.kill([pid]);
    await client.send(new ec2.DetachVolumeCommand({ VolumeId }));
    await systemClock.sleep(500);
    rokka.kill(nodes.slice(0, 4), 'SIGCONT');
    await ec2.waitUntilVolumeAvailable(own.waiting, { VolumeIds: [VolumeId] });
    assert.doesNotMatch(mounts(), new RegExp(`^${VolumeId} `, 'm'));
    assert.equal(fs.existsSync(directory), false);
    await own.attach(VolumeId, 'sdf');
    assert.equal(fs.readFileSync(path.join(directory, 'answered'), 'utf8'), 'and not durable yet');
    await own.detach(VolumeId);
  },
);
