/** Two at the same time: one is held up just before it reads or writes something, and others do as they like meanwhile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { Ec2Bench, type Ec2Process, processOver } from '../testing/ec2-bench.ts';
import { FakeController } from '../testing/fake-controller.ts';
import { heldRegistry, type Moment } from '../testing/held-registry.ts';
import { ACCOUNT, REGION } from '../testing/service-bench.ts';
import { type Claim, deviceKey, tokenKey } from './claims.ts';
import { type VolumeRecord, recordKeys } from './ec2-records.ts';

const scope = { account: ACCOUNT, region: REGION };
const AvailabilityZone = `${REGION}a`;
const volumes = 'ec2/volumes/';

class Meanwhile extends Ec2Bench {
  #seed = 99;
  #waiting = 0;

  constructor() {
    super(new MemoryRegistry());
  }

  held(at: Moment, others: () => Promise<unknown>): Ec2Process {
    this.#waiting++;
    const run = () => {
      this.#waiting--;
      return others();
    };
    const registry = heldRegistry(this.registry as MemoryRegistry, [[at, run]]);
    return processOver(this.contextOver(registry, this.#seed++));
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    assert.equal(this.#waiting, 0, 'everybody was held up');
  }

  /** As the controller, which is there once. */
  heldController(at: Moment, others: () => Promise<unknown>): FakeController {
    const registry = heldRegistry(this.registry as MemoryRegistry, [[at, others]]);
    const { secrets } = this;
    return new FakeController({ ...this.recordsOver(registry, this.#seed++), secrets });
  }

  async detach(VolumeId: string): Promise<void> {
    await this.call('DetachVolume', { VolumeId });
    await this.turns();
  }

  async record(id: string): Promise<VolumeRecord> {
    return must(await this.registry.get<VolumeRecord>(recordKeys.volume(scope, id))).value;
  }

  async checkNoClaim(): Promise<void> {
    assert.deepEqual(await this.registry.list('ec2/claims/'), []);
  }
}

const taken = { code: 'InvalidParameterValue', message: /already in use/ };

test('of two who attach a volume one does', async () => {
  using bench = new Meanwhile();
  const id = await bench.volume();
  const slow = bench.held({ on: 'write', key: volumes + id }, () => bench.attach(id, '/dev/sdg'));
  await assert.rejects(bench.attach(id, '/dev/sdf', slow), { code: 'VolumeInUse' });
  await bench.turns();
  assert.equal((await bench.record(id)).attachment?.device, '/dev/sdg');
  assert.equal(await bench.state(id), 'in-use attached');
});

test('of two volumes on one device one is attached, whoever decided first', async () => {
  for (const key of [volumes, deviceKey({ mount: 'sdf' })]) {
    using bench = new Meanwhile();
    const [first, second] = [await bench.volume(), await bench.volume()];
    const slow = bench.held({ on: 'write', key }, () => bench.attach(second, '/dev/sdf'));
    await assert.rejects(bench.attach(first, '/dev/sdf', slow), taken);
    await bench.turns();
    assert.deepEqual([await bench.state(first), await bench.state(second)], ['available', 'in-use attached']);
    assert.equal((await bench.context.databases.get(first)).files?.mount, undefined);
    // What has lost can be attached elsewhere.
    await bench.attach(first, '/dev/sdg');
    await bench.turns();
    assert.equal(await bench.state(first), 'in-use attached');
  }
});

test('attached or deleted, never both', async () => {
  using bench = new Meanwhile();
  const [first, second] = [await bench.volume(), await bench.volume()];
  const attaching = bench.held({ on: 'write', key: volumes + first }, () =>
    bench.call('DeleteVolume', { VolumeId: first }),
  );
  await assert.rejects(bench.attach(first, '/dev/sdf', attaching), { code: 'IncorrectState' });
  const deleting = bench.held({ on: 'write', key: volumes + second }, () => bench.attach(second, '/dev/sdf'));
  await assert.rejects(deleting.call('DeleteVolume', { VolumeId: second }), { code: 'VolumeInUse' });
  const third = await bench.volume();
  const growing = bench.held({ on: 'write', key: volumes + third }, () =>
    bench.call('DeleteVolume', { VolumeId: third }),
  );
  const grow = growing.call('ModifyVolume', { VolumeId: third, Size: 2 });
  await assert.rejects(grow, { code: 'IncorrectState' });
  await bench.turns(8);
  await assert.rejects(bench.state(first), { code: 'InvalidVolume.NotFound' });
  assert.equal(await bench.state(second), 'in-use attached');
});

test('who is late with a claim does not have it any more, and nobody waits for that', async () => {
  using bench = new Meanwhile();
  const [first, second] = [await bench.volume(), await bench.volume()];
  // It has written the attachment, and sleeps before it claims the device.
  const slow = bench.held({ on: 'write', key: deviceKey({ mount: 'sdf' }) }, async () => {
    await bench.turns();
    assert.equal(await bench.state(first), 'in-use attached');
    await bench.detach(first);
  });
  await assert.rejects(bench.attach(first, '/dev/sdf', slow));
  assert.ok(await bench.registry.get(deviceKey({ mount: 'sdf' })), 'the late claim is there');
  await bench.attach(second, '/dev/sdf');
  await bench.turns();
  assert.deepEqual([await bench.state(first), await bench.state(second)], ['available', 'in-use attached']);
});

test('nor is anybody refused for one that comes late while he asks', async () => {
  using bench = new Meanwhile();
  const [first, second] = [await bench.volume(), await bench.volume()];
  const late = bench.held({ on: 'write', key: deviceKey({ mount: 'sdf' }) }, async () => {
    await bench.turns();
    await bench.detach(first);
  });
  const slow = bench.held({ on: 'write', key: volumes + second }, () =>
    assert.rejects(bench.attach(first, '/dev/sdf', late)),
  );
  await bench.attach(second, '/dev/sdf', slow);
  await bench.turns();
  assert.equal(await bench.state(second), 'in-use attached');
});

test('a claim that is left over goes by itself', async () => {
  using bench = new Meanwhile();
  const id = await bench.volume();
  const slow = bench.held({ on: 'write', key: deviceKey({ mount: 'sdf' }) }, async () => {
    await bench.turns();
    await bench.detach(id);
  });
  await assert.rejects(bench.attach(id, '/dev/sdf', slow));
  await bench.turns(1);
  await bench.checkNoClaim();
});

test('a keeper that slept does not take away the claim of who came after it', async () => {
  using bench = new Meanwhile();
  const [first, second] = [await bench.attached('/dev/sdf'), await bench.volume()];
  await bench.call('DetachVolume', { VolumeId: first });
  await bench.controller.step();
  await bench.controller.step();
  // It is to remove the claim of the first one.
  const slow = bench.held({ on: 'write', key: deviceKey({ mount: 'sdf' }) }, async () => {
    await bench.turns();
    await bench.attach(second, '/dev/sdf');
    await bench.turns();
  });
  await slow.keeper.step();
  const claim = await bench.registry.get<Claim>(deviceKey({ mount: 'sdf' }));
  assert.equal(claim?.value.volume, second, 'not even for a moment');
  await bench.turns();
  assert.equal(await bench.state(second), 'in-use attached');
});

test('who ends an attachment, or a modification, late leaves the one that came after it', async () => {
  using bench = new Meanwhile();
  const id = await bench.attached('/dev/sdf');
  await bench.call('ModifyVolume', { VolumeId: id, Size: 2 });
  await bench.controller.step();
  const modifying = bench.held({ on: 'write', key: volumes + id }, async () => {
    await bench.turns();
    await bench.call('ModifyVolume', { VolumeId: id, Size: 3 });
  });
  await modifying.keeper.step();
  assert.equal((await bench.record(id)).modification?.endedAtMs, undefined);
  await bench.turns();
  await bench.call('DetachVolume', { VolumeId: id });
  await bench.controller.step();
  await bench.controller.step();
  const detaching = bench.held({ on: 'write', key: volumes + id }, async () => {
    await bench.turns();
    await bench.attach(id, '/dev/sdg');
  });
  await detaching.keeper.step();
  assert.equal((await bench.record(id)).attachment?.device, '/dev/sdg');
});

test('what is made while a keeper looks is not left over, in a region that is new to it', async () => {
  for (const key of ['databases/', 'ec2/claims/']) {
    using bench = new Meanwhile();
    await bench.volume();
    const where = { region: 'eu-west-9' };
    let id = '';
    const slow = bench.held({ on: 'list', key }, async () => {
      id = await bench.volume({}, where);
      const InstanceId = await bench.instance('one.example', where);
      await bench.call('AttachVolume', { VolumeId: id, InstanceId, Device: '/dev/sdf' }, where);
    });
    await slow.keeper.step();
    assert.equal((await bench.context.databases.get(id)).desired, 'running');
    assert.ok(await bench.registry.get(deviceKey({ mount: 'sdf' })));
  }
});

test('who stops a volume late stops it for a moment', async () => {
  using bench = new Meanwhile();
  const { VolumeId } = await bench.call('CreateVolume', { AvailabilityZone, Size: 1 });
  const id = must(VolumeId);
  await bench.controller.step();
  await bench.controller.step();
  // It was made; and the keeper is to have it stand still.
  const slow = bench.held({ on: 'write', key: `databases/${id}` }, async () => {
    await bench.turns();
    await bench.attach(id, '/dev/sdf');
    await bench.turns();
  });
  await slow.keeper.step();
  await bench.turns(8);
  assert.equal(await bench.state(id), 'in-use attached');
});

test('a volume that is attached again elsewhere is mounted there alone', async () => {
  using bench = new Meanwhile();
  const [first, second] = [await bench.volume(), await bench.volume()];
  // It has claimed the device, and sleeps before the mount is written.
  const slow = bench.held({ on: 'write', key: `databases/${first}` }, async () => {
    await bench.turns();
    await bench.detach(first);
    await bench.attach(second, '/dev/sdf');
    await bench.turns();
  });
  await assert.rejects(bench.attach(first, '/dev/sdf', slow));
  await bench.turns();
  assert.deepEqual([await bench.state(first), await bench.state(second)], ['available', 'in-use attached']);
  assert.equal((await bench.context.databases.get(first)).files?.mount, undefined);
});

test('a snapshot stays while a volume is being made of it; a volume is not made of one that went', async () => {
  using bench = new Meanwhile();
  const SnapshotId = await bench.snapshot(await bench.volume());
  const make = { AvailabilityZone, SnapshotId };
  const remove = () => bench.call('DeleteSnapshot', { SnapshotId });
  const making = bench.held({ on: 'write', key: 'databases/vol-' }, async () => {
    await assert.rejects(remove(), { code: 'InvalidSnapshot.InUse' });
  });
  const { VolumeId } = await making.call('CreateVolume', make);
  await bench.turns();
  assert.equal(await bench.state(must(VolumeId)), 'available');
  const late = bench.held({ on: 'write', key: volumes }, remove);
  await assert.rejects(late.call('CreateVolume', make), { code: 'IncorrectState' });
  await bench.turns();
  assert.equal((await bench.context.databases.list()).length, 2);
});

test('a snapshot that went when nobody seemed to use it is not missed halfway', async () => {
  using bench = new Meanwhile();
  const SnapshotId = await bench.snapshot(await bench.volume());
  const [written, gone] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  // Its record is there, and its database is not.
  const making = bench.held({ on: 'write', key: 'databases/vol-' }, () => {
    written.resolve();
    return gone.promise;
  });
  let made: Promise<unknown> = Promise.resolve();
  // It has seen that nothing is made of it.
  const deleting = bench.held({ on: 'write', key: 'ec2/snapshots/' }, () => {
    made = assert.rejects(making.call('CreateVolume', { AvailabilityZone, SnapshotId }), {
      code: 'IncorrectState',
    });
    return written.promise;
  });
  await deleting.call('DeleteSnapshot', { SnapshotId });
  gone.resolve();
  await made;
  await bench.turns();
  assert.equal((await bench.context.databases.list()).length, 1);
});

test('of a set whose member is deleted while it is being asked for the others are made', async () => {
  using bench = new Meanwhile();
  await bench.attached('/dev/sdf');
  await bench.attached('/dev/sdg');
  const InstanceSpecification = { InstanceId: await bench.instance(), ExcludeBootVolume: true };
  const slow = bench.held({ on: 'write', key: 'snapshots/snap-', time: 2 }, async () => {
    const { Snapshots } = await bench.call('DescribeSnapshots', {});
    await bench.call('DeleteSnapshot', { SnapshotId: must(Snapshots?.[0].SnapshotId) });
    await bench.turns();
  });
  await slow.call('CreateSnapshots', { InstanceSpecification });
  await bench.turns();
  const { Snapshots = [] } = await bench.call('DescribeSnapshots', {});
  assert.deepEqual(
    Snapshots.map(({ State }) => State),
    ['completed'],
  );
  assert.equal((await bench.context.snapshots.list()).length, 1);
});

test('two who change different things of a volume both do', async () => {
  using bench = new Meanwhile();
  const id = await bench.volume();
  const slow = bench.held({ on: 'write', key: volumes + id }, async () => {
    await bench.call('CreateTags', { Resources: [id], Tags: [{ Key: 'a', Value: '1' }] });
    await bench.call('ModifyVolume', { VolumeId: id, Size: 3 });
  });
  await bench.attach(id, '/dev/sdf', slow);
  await bench.turns();
  const { sizeGiB, tags, attachment } = await bench.record(id);
  assert.deepEqual([sizeGiB, tags, attachment?.device], [3, [{ Key: 'a', Value: '1' }], '/dev/sdf']);
  assert.equal((await bench.context.databases.get(id)).files?.sizeBytes, 3 * 2 ** 30);
});

test('of two with one token one volume is made, whoever writes first', async () => {
  const input = { AvailabilityZone, Size: 1, ClientToken: 'mine' };
  for (const key of [volumes, 'ec2/claims/tokens/']) {
    using bench = new Meanwhile();
    let other: string | undefined;
    const slow = bench.held({ on: 'write', key }, async () => {
      const { Volumes: seen = [] } = await bench.call('DescribeVolumes', {});
      assert.ok(!seen.some(({ VolumeType }) => VolumeType), 'nobody sees one that may be withdrawn');
      other = (await bench.call('CreateVolume', input)).VolumeId;
    });
    assert.equal((await slow.call('CreateVolume', input)).VolumeId, must(other));
    await bench.turns();
    assert.deepEqual(
      (await bench.context.databases.list()).map(({ name }) => name),
      [other],
    );
    const { Volumes = [] } = await bench.call('DescribeVolumes', {});
    assert.equal(Volumes.filter(({ VolumeType }) => VolumeType).length, 1);
  }
});

test('a token that is left over is free for who comes then', async () => {
  using bench = new Meanwhile();
  const key = tokenKey(scope, 'mine');
  const claim: Claim = { key, holder: 'vol-1', volume: 'vol-1', scope };
  // He has looked for it, and it comes before he claims it himself.
  const slow = bench.held({ on: 'write', key: volumes }, () => bench.registry.put(key, claim, 0));
  const { VolumeId } = await slow.call('CreateVolume', { AvailabilityZone, Size: 1, ClientToken: 'mine' });
  await bench.turns();
  assert.equal(await bench.state(must(VolumeId)), 'available');
});

test('a volume that two make at once is one', async () => {
  using bench = new Meanwhile();
  const making = bench.held({ on: 'write', key: 'databases/vol-' }, () => bench.process.keeper.step());
  const { VolumeId } = await making.call('CreateVolume', { AvailabilityZone, Size: 1 });
  await bench.turns();
  assert.equal(await bench.state(must(VolumeId)), 'available');
});

test('a volume that another one could make is not given up for a snapshot that went after that', async () => {
  using bench = new Meanwhile();
  const SnapshotId = await bench.snapshot(await bench.volume());
  const slow = bench.held({ on: 'get', key: 'snapshots/snap-' }, async () => {
    await bench.process.keeper.step();
    await bench.call('DeleteSnapshot', { SnapshotId });
  });
  const { VolumeId } = await slow.call('CreateVolume', { AvailabilityZone, SnapshotId });
  await bench.turns();
  assert.equal(await bench.state(must(VolumeId)), 'available');
});

test('a volume that the controller is about to open is not told to be detached', async () => {
  using bench = new Meanwhile();
  const id = await bench.volume();
  await bench.attach(id, '/dev/sdf');
  let told = '';
  // It has read that the volume shall be mounted, and is to say that it begins with that.
  const slow = bench.heldController({ on: 'write', key: `database-states/${id}` }, async () => {
    await bench.call('DetachVolume', { VolumeId: id });
    await bench.process.keeper.step();
    told = await bench.state(id);
  });
  await slow.step();
  assert.equal(told, 'in-use detaching');
  await bench.turns();
  assert.equal(await bench.state(id), 'available');
});

test('a snapshot that others have made, and whose volume went after that, is not given up by who comes late', async () => {
  using bench = new Meanwhile();
  const id = await bench.volume();
  // It has seen that nothing is kept for it yet, and is to look for the database: the first look was for the volume's state.
  const slow = bench.held({ on: 'get', key: `databases/${id}`, time: 2 }, async () => {
    await bench.turns(2);
    await bench.call('DeleteVolume', { VolumeId: id });
    await bench.turns();
  });
  const { SnapshotId } = await slow.call('CreateSnapshot', { VolumeId: id });
  await bench.turns();
  assert.equal(await bench.snapshotState(must(SnapshotId)), 'completed');
  assert.equal((await bench.context.snapshots.list()).length, 1);
});

test('nor are those of a set', async () => {
  using bench = new Meanwhile();
  const id = await bench.attached('/dev/sdf');
  const InstanceSpecification = { InstanceId: await bench.instance(), ExcludeBootVolume: true };
  const slow = bench.held({ on: 'get', key: `databases/${id}` }, async () => {
    await bench.turns(2);
    await bench.detach(id);
    await bench.call('DeleteVolume', { VolumeId: id });
    await bench.turns();
  });
  const { Snapshots } = await slow.call('CreateSnapshots', { InstanceSpecification });
  await bench.turns();
  assert.equal(await bench.snapshotState(must(Snapshots?.[0].SnapshotId)), 'completed');
});
