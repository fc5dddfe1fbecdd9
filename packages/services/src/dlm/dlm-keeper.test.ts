/** Policies over days: what is made, what goes, and what is told of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Schedule } from '@aws-sdk/client-dlm';
import { must } from '@rokka/kernel';
import { deleteRole } from '../iam/operations/delete-role.ts';
import { deleteRolePolicy } from '../iam/operations/delete-role-policy.ts';
import { MemoryRegistry } from '@rokka/registry';
import { detailsOf, DlmBench, dlmProcessOver, roleArn, scripted } from '../testing/dlm-bench.ts';
import { heldRegistry } from '../testing/held-registry.ts';
import { REGION } from '../testing/service-bench.ts';

const NAME = 'aws:dlm:lifecycle-schedule-name';

test('a machine is copied each night, and two nights are kept', async () => {
  using bench = new DlmBench();
  const machine = await bench.machine();
  const id = await bench.policy({ TagsToAdd: [{ Key: 'by', Value: 'policy' }] });
  await bench.round();
  assert.deepEqual(await bench.sets(), []);
  await bench.nights(0);
  assert.deepEqual(await bench.sets(), [bench.setOf(0, 'by=policy')]);
  const { Snapshots = [] } = await bench.call('DescribeSnapshots', {});
  assert.equal(Snapshots.length, 2);
  assert.equal(Snapshots[0].Description, `Created for policy: ${id} schedule: night`);
  const tags = new Map(Snapshots[0].Tags?.map(({ Key, Value }) => [Key, Value]));
  assert.deepEqual([tags.get('aws:dlm:lifecycle-policy-id'), tags.get('aws:dlm:instance-id')], [id, machine]);
  await bench.nights(1, 3);
  assert.deepEqual(await bench.sets(), [bench.setOf(2, 'by=policy'), bench.setOf(3, 'by=policy')]);
  const { State, StatusMessage } = await bench.shown(id);
  assert.deepEqual([State, StatusMessage], ['ENABLED', '']);
});

test('what was missed is made up for once', async () => {
  using bench = new DlmBench();
  await bench.machine();
  await bench.policy({ RetainRule: { Count: 5 } });
  await bench.nights(0);
  await bench.sleepUntil(bench.nightOf(4).replace('T03:00', 'T07:30'));
  assert.deepEqual(await bench.sets(), [bench.setOf(0), bench.setOf(4).replace('T03:00', 'T07:30')]);
  await bench.minutes(30);
  const { Snapshots } = await bench.call('DescribeSnapshots', {});
  assert.deepEqual([Snapshots?.length, (await bench.sets()).length], [4, 2]);
  await bench.nights(5);
  assert.equal((await bench.sets()).length, 3);
});

test('snapshots of one’s own, and those of other policies, stay', async () => {
  using bench = new DlmBench();
  await bench.machine();
  const { Volumes = [] } = await bench.call('DescribeVolumes', {
    Filters: [{ Name: 'attachment.device', Values: ['/dev/sdf'] }],
  });
  await bench.snapshot(must(Volumes[0].VolumeId));
  const before = await bench.sets();
  const first = await bench.policy({ RetainRule: { Count: 1 } });
  await bench.nights(0);
  await bench.dlm.call('DeleteLifecyclePolicy', { PolicyId: first });
  await bench.dlm.call('CreateLifecyclePolicy', {
    ExecutionRoleArn: roleArn('lifecycle'),
    Description: 'second',
    State: 'ENABLED',
    PolicyDetails: detailsOf({ RetainRule: { Count: 1 } }),
  });
  await bench.nights(1, 3);
  assert.deepEqual(await bench.sets(), [...before, bench.setOf(0), bench.setOf(3)].sort());
});

test('volumes with the tag are copied one by one, with their tags', async () => {
  using bench = new DlmBench();
  const one = await bench.volume();
  const two = await bench.attached();
  await bench.volume();
  for (const volume of [one, two]) await bench.tag(volume);
  await bench.policy({ CopyTags: true, RetainRule: { Count: 1 } }, { ResourceTypes: ['VOLUME'] });
  await bench.nights(0, 1);
  const { Snapshots = [] } = await bench.call('DescribeSnapshots', {});
  assert.deepEqual(new Set(Snapshots.map(({ VolumeId }) => VolumeId)), new Set([one, two]));
  assert.deepEqual(await bench.sets(), [bench.setOf(1, 'backup=yes')]);
});

test('how a snapshot was made, the tags of its volume do not say', async () => {
  const claims = ['AppConsistent', 'Device', 'AwsVssConfig'].map((Key) => ({ Key, Value: 'True' }));
  const schedules: { schedule: Schedule; agent?: DlmBench['agent']; ResourceTypes?: ['VOLUME'] }[] = [
    { schedule: {} },
    { schedule: {}, ResourceTypes: ['VOLUME'] },
    { schedule: { CreateRule: scripted() } },
    { schedule: { CreateRule: scripted() }, agent: 'bad' },
  ];
  for (const { schedule, agent = 'good', ResourceTypes } of schedules) {
    using bench = new DlmBench();
    await bench.machine();
    await bench.actAsAgent();
    const { Volumes = [] } = await bench.call('DescribeVolumes', {
      Filters: [{ Name: 'attachment.device', Values: ['/dev/sdf', '/dev/sdg'] }],
    });
    const Resources = Volumes.map(({ VolumeId }) => must(VolumeId));
    await bench.call('CreateTags', { Resources, Tags: [...claims, { Key: 'backup', Value: 'yes' }] });
    await bench.policy({ CopyTags: true, ...schedule }, ResourceTypes && { ResourceTypes });
    bench.agent = agent;
    await bench.nights(0);
    assert.deepEqual(await bench.sets(), [bench.setOf(0, 'backup=yes')]);
  }
});

test('old ones go by their age, after a new one is there', async () => {
  using bench = new DlmBench();
  await bench.machine();
  await bench.policy({ RetainRule: { Interval: 2, IntervalUnit: 'DAYS' } });
  await bench.nights(0, 3);
  assert.deepEqual(await bench.sets(), [bench.setOf(1), bench.setOf(2), bench.setOf(3)]);
});

test('one that an image names stays, and keeps none of the others', async () => {
  for (const at of [0, 1]) {
    using bench = new DlmBench();
    await bench.machine();
    const id = await bench.policy({ RetainRule: { Count: 1 } });
    await bench.nights(0);
    const { Snapshots: old = [] } = await bench.call('DescribeSnapshots', {});
    const [DeviceName, SnapshotId] = ['/dev/xvda', must(old[at].SnapshotId)];
    const BlockDeviceMappings = [{ DeviceName, Ebs: { SnapshotId } }];
    await bench.call('RegisterImage', { Name: 'kept', RootDeviceName: DeviceName, BlockDeviceMappings });
    await bench.nights(1);
    const { Snapshots: left = [] } = await bench.call('DescribeSnapshots', {});
    const names = old.map((each) => must(each.SnapshotId));
    assert.deepEqual(
      left.map((each) => must(each.SnapshotId)).filter((name) => names.includes(name)),
      [SnapshotId],
    );
    assert.match((await bench.shown(id)).StatusMessage ?? '', /could not be deleted: InvalidSnapshot.InUse/);
  }
});

test('with a script the agent makes them, and they become the policy’s', async () => {
  using bench = new DlmBench();
  await bench.machine();
  await bench.actAsAgent();
  const id = await bench.policy({ CreateRule: scripted(), TagsToAdd: [{ Key: 'a=;,', Value: 'b;=,' }] });
  await bench.nights(0, 2);
  assert.deepEqual(await bench.sets(), [bench.setOf(1, 'a=;,=b;=,'), bench.setOf(2, 'a=;,=b;=,')]);
  assert.equal(bench.deliveries.length, 3);
  const { name, parameters } = bench.deliveries[0].document;
  assert.deepEqual([name, parameters['ExcludeBootVolume']], ['AWSEC2-CreateVssSnapshot', ['True']]);
  assert.equal((await bench.shown(id)).StatusMessage, '');
});

test('boot volumes are copied with the others unless the policy leaves them out, also where there are no others', async () => {
  for (const schedule of [{}, { CreateRule: scripted() }]) {
    using bench = new DlmBench();
    await bench.tag(await bench.instance());
    const boot = await bench.boot();
    await bench.actAsAgent();
    const id = await bench.policy({ ...schedule, RetainRule: { Count: 1 } }, { Parameters: {} });
    assert.deepEqual((await bench.shown(id)).PolicyDetails?.Parameters, { ExcludeBootVolume: false });
    await bench.nights(0, 1);
    assert.deepEqual(await bench.sets(), [bench.setOf(1)]);
    const { Snapshots = [] } = await bench.call('DescribeSnapshots', {});
    assert.deepEqual(
      Snapshots.map(({ VolumeId }) => VolumeId),
      [boot],
    );
    await bench.attached('/dev/sdf');
    await bench.nights(2);
    assert.equal((await bench.call('DescribeSnapshots', {})).Snapshots?.length, 2);
  }
});

test('a script that fails: snapshots all the same, or none; and old ones stay where there are no new ones', async () => {
  for (const agent of ['bad', 'late'] as const) {
    using bench = new DlmBench();
    const machine = await bench.machine();
    await bench.actAsAgent();
    const id = await bench.policy({ CreateRule: scripted(), RetainRule: { Count: 1 } });
    bench.agent = agent;
    await bench.nights(0, 1);
    assert.deepEqual(await bench.sets(), [bench.setOf(1)], agent);
    const { State, StatusMessage = '' } = await bench.shown(id);
    assert.equal(State, 'ENABLED');
    assert.match(
      StatusMessage,
      new RegExp(
        `^night of .* on ${machine}: the snapshots are not consistent for applications: .*nobody would freeze\\.$`,
      ),
    );
    const CreateRule = scripted({ ExecuteOperationOnScriptFailure: false, MaximumRetryCount: 2 });
    const PolicyDetails = detailsOf({ CreateRule, RetainRule: { Count: 1 } });
    await bench.dlm.call('UpdateLifecyclePolicy', { PolicyId: id, PolicyDetails });
    bench.deliveries.length = 0;
    await bench.nights(2);
    assert.deepEqual(await bench.sets(), [bench.setOf(1)], agent);
    assert.equal(bench.deliveries.length, 3);
    assert.match(
      (await bench.shown(id)).StatusMessage ?? '',
      /: the command .* ended as Failed: nobody would freeze\.$/,
    );
    bench.agent = 'good';
    await bench.nights(3);
    assert.deepEqual([await bench.sets(), (await bench.shown(id)).StatusMessage], [[bench.setOf(3)], '']);
  }
});

test('snapshots that somebody else has given the mark of a run are neither taken over nor deleted', async () => {
  for (const agent of ['good', 'bad'] as const) {
    using bench = new DlmBench();
    const InstanceId = await bench.machine();
    await bench.actAsAgent();
    const CreateRule = scripted({ ExecuteOperationOnScriptFailure: false });
    await bench.policy({ CreateRule, RetainRule: { Count: 1 } });
    await bench.nights(0);
    bench.agent = 'away';
    await bench.nights(1);
    const [delivery] = await bench.desk.deliveries('first');
    const { tags, description } = must(delivery).document.parameters;
    const Tags = [{ Key: 'dlm:run', Value: must(/Value=(.*)$/.exec(String(tags)))[1] }];
    const { Snapshots = [] } = await bench.call('CreateSnapshots', {
      InstanceSpecification: { InstanceId, ExcludeBootVolume: true },
      Description: 'my own',
    });
    const single = await bench.call('CreateSnapshot', {
      VolumeId: must(Snapshots[0].VolumeId),
      Description: String(description),
    });
    const own = [...Snapshots, single].map(({ SnapshotId }) => must(SnapshotId));
    await bench.call('CreateTags', { Resources: own, Tags });
    bench.agent = agent;
    await bench.round();
    await bench.nights(2);
    const { Snapshots: left = [] } = await bench.call('DescribeSnapshots', { SnapshotIds: own });
    for (const each of left) assert.deepEqual(each.Tags, Tags, agent);
    const others = (await bench.sets()).filter((text) => text.includes(NAME));
    assert.deepEqual(others, [bench.setOf(agent === 'good' ? 2 : 0)]);
  }
});

test('an agent that never was there, or is gone', async () => {
  using bench = new DlmBench();
  await bench.machine();
  const id = await bench.policy({ CreateRule: scripted(), RetainRule: { Count: 1 } });
  bench.agent = 'away';
  await bench.nights(0);
  assert.deepEqual(await bench.sets(), [bench.setOf(0)]);
  assert.match((await bench.shown(id)).StatusMessage ?? '', /InvalidInstanceId: /);
  bench.agent = 'good';
  await bench.actAsAgent();
  bench.agent = 'away';
  await bench.nights(1);
  assert.deepEqual(await bench.sets(), [bench.setOf(0)]);
  // It may begin within ten minutes.
  await bench.minutes(11);
  assert.equal((await bench.sets()).length, 1);
  assert.match((await bench.sets())[0], new RegExp(`^${bench.nightOf(1).slice(0, 10)}T03:1`));
  assert.match((await bench.shown(id)).StatusMessage ?? '', /ended as DeliveryTimedOut\.$/);
});

test('snapshots that fail delete nothing, and those that last are waited for', async () => {
  using bench = new DlmBench();
  await bench.machine();
  const id = await bench.policy({ RetainRule: { Count: 1 } });
  await bench.nights(0);
  bench.controller.snapshotsFail = 'no room';
  await bench.nights(1);
  const failed = bench.setOf(1).replace(' ', ' error ');
  assert.deepEqual(await bench.sets(), [bench.setOf(0), failed]);
  assert.match((await bench.shown(id)).StatusMessage ?? '', /: the snapshots could not be made\.$/);
  bench.controller.snapshotsFail = undefined;
  bench.controller.snapshotsWait = true;
  await bench.nights(2, 3);
  assert.deepEqual(await bench.sets(), [bench.setOf(0), failed, bench.setOf(2).replace(' ', ' pending ')]);
  bench.controller.snapshotsWait = false;
  await bench.round();
  assert.deepEqual(await bench.sets(), [bench.setOf(2)]);
});

test('a role that may not, or is gone: the policy is in error until it is well again', async () => {
  using bench = new DlmBench();
  await bench.machine();
  const id = await bench.policy({ CreateRule: scripted(), RetainRule: { Count: 1 } });
  const told = async () => {
    const { State, StatusMessage } = await bench.shown(id);
    return [State, StatusMessage];
  };
  await bench.nights(0);
  const rest = ['ec2:CreateTags', 'ec2:Describe*', 'ssm:SendCommand'];
  const needed: [string[], RegExp][] = [
    [['ec2:Create*'], /ec2:DescribeInstances on \*\.$/],
    [rest.slice(1, 2), /ssm:SendCommand on .*document\/AWSEC2-CreateVssSnapshot\.$/],
    [rest.slice(1), /ec2:CreateTags on .*snapshot\/snap-/],
    [rest, /ec2:DeleteSnapshot on .*snapshot\/snap-/],
  ];
  let night = 1;
  for (const [actions, why] of needed) {
    await bench.allow('lifecycle', actions);
    await bench.nights(night++);
    const [state, message = ''] = await told();
    assert.equal(state, 'ERROR');
    assert.match(message, why);
  }
  await deleteRolePolicy({ RoleName: 'lifecycle', PolicyName: 'own' }, bench.iam);
  await deleteRole({ RoleName: 'lifecycle' }, bench.iam);
  await bench.nights(night++);
  assert.deepEqual(await told(), ['ERROR', `There is no role ${roleArn('lifecycle')}.`]);
  await bench.role('lifecycle', ['*'], 'ec2.amazonaws.com');
  await bench.nights(night++);
  assert.match((await told())[1] ?? '', /does not allow dlm.amazonaws.com to assume it\.$/);
  const ExecutionRoleArn = await bench.role('other');
  await bench.dlm.call('UpdateLifecyclePolicy', { PolicyId: id, ExecutionRoleArn });
  assert.equal((await told())[0], 'ERROR');
  await bench.nights(night);
  assert.deepEqual(await told(), ['ENABLED', '']);
  // One that could neither be tagged nor deleted is nobody's.
  const own = (await bench.sets()).filter((text) => text.includes(NAME));
  assert.deepEqual(own, [bench.setOf(night)]);
});

test('one that is disabled does nothing, and what it missed is not made up for', async () => {
  using bench = new DlmBench();
  await bench.machine();
  const PolicyId = await bench.policy();
  await bench.nights(0);
  await bench.dlm.call('UpdateLifecyclePolicy', { PolicyId, State: 'DISABLED' });
  await bench.nights(1, 2);
  assert.equal((await bench.shown(PolicyId)).State, 'DISABLED');
  await bench.dlm.call('UpdateLifecyclePolicy', { PolicyId, State: 'ENABLED' });
  await bench.round();
  assert.deepEqual(await bench.sets(), [bench.setOf(0)]);
  await bench.nights(3);
  assert.deepEqual(await bench.sets(), [bench.setOf(0), bench.setOf(3)]);
});

test('a policy that is disabled, changed, or deleted while a run lasts', async () => {
  using bench = new DlmBench();
  await bench.machine();
  await bench.actAsAgent();
  const PolicyId = await bench.policy({ CreateRule: scripted(), RetainRule: { Count: 1 } });
  await bench.nights(0);
  bench.agent = 'away';
  await bench.nights(1);
  await bench.dlm.call('UpdateLifecyclePolicy', { PolicyId, State: 'DISABLED' });
  bench.agent = 'good';
  await bench.round();
  const marked = (await bench.sets()).filter((text) => text.includes('dlm:run='));
  assert.equal(marked.length, 1);
  // By the rule that counts then.
  const PolicyDetails = detailsOf({ CreateRule: scripted(), RetainRule: { Count: 2 } });
  await bench.dlm.call('UpdateLifecyclePolicy', { PolicyId, State: 'ENABLED', PolicyDetails });
  await bench.round();
  assert.deepEqual(await bench.sets(), [bench.setOf(0), bench.setOf(1)]);
  bench.agent = 'away';
  await bench.nights(2);
  await bench.dlm.call('DeleteLifecyclePolicy', { PolicyId });
  bench.agent = 'good';
  await bench.round();
  const marks = (await bench.sets()).map((text) => text.includes('dlm:run='));
  assert.deepEqual(marks, [false, false, true]);
});

test('two keepers at once take a time once', async () => {
  const registry = new MemoryRegistry();
  using bench = new DlmBench(registry);
  await bench.machine();
  await bench.policy({ CreateRule: scripted(), RetainRule: { Count: 9 } });
  await bench.actAsAgent();
  const other = dlmProcessOver(bench.dlmContext(registry.another(), 99)).keeper;
  const both = { step: async () => void (await Promise.all([bench.dlm.keeper.step(), other.step()])) };
  for (const night of [0, 1, 2]) {
    bench.clock.advanceTo(
      bench.clock.nowMs() + Date.parse(`${bench.nightOf(night)}Z`) - bench.clock.wallMs(),
    );
    await bench.round(both);
  }
  assert.deepEqual(await bench.sets(), [bench.setOf(0), bench.setOf(1), bench.setOf(2)]);
  const { Snapshots } = await bench.call('DescribeSnapshots', {});
  assert.deepEqual([Snapshots?.length, bench.deliveries.length], [6, 3]);
});

test('a keeper that slept over a night takes nothing of it', async () => {
  const registry = new MemoryRegistry();
  using bench = new DlmBench(registry);
  await bench.machine();
  const id = await bench.policy();
  const others = () => bench.round();
  const held = heldRegistry(registry, [[{ on: 'write', key: `dlm/policies/${id}` }, others]]);
  const slow = dlmProcessOver(bench.dlmContext(held, 99)).keeper;
  bench.advanceTo(0);
  await slow.step();
  await bench.round();
  const { Snapshots } = await bench.call('DescribeSnapshots', {});
  assert.deepEqual([Snapshots?.length, await bench.sets()], [2, [bench.setOf(0)]]);
});

test('a command that another keeper has sent counts, also for who is refused it after that', async () => {
  const registry = new MemoryRegistry();
  using bench = new DlmBench(registry);
  await bench.machine();
  await bench.policy({ CreateRule: scripted({ ExecuteOperationOnScriptFailure: false }) });
  bench.advanceTo(0);
  await bench.actAsAgent();
  // It has seen that nothing is sent yet, and is to look who is there.
  const others = async () => {
    await bench.dlm.keeper.step();
    await bench.allow('lifecycle', ['ec2:*']);
  };
  const held = heldRegistry(registry, [[{ on: 'list', key: '/instance-tags/', time: 2 }, others]]);
  await dlmProcessOver(bench.dlmContext(held, 99)).keeper.step();
  await bench.round();
  assert.deepEqual(await bench.sets(), [bench.setOf(0)]);
  assert.equal(bench.deliveries.length, 1);
});

test('and so do snapshots that it has made', async () => {
  const registry = new MemoryRegistry();
  using bench = new DlmBench(registry);
  await bench.machine();
  const id = await bench.policy({ RetainRule: { Count: 1 } });
  await bench.nights(0);
  bench.advanceTo(1);
  // It has seen that nothing is made yet, and is to look for what it would copy.
  const others = async () => {
    await bench.dlm.keeper.step();
    await bench.allow('lifecycle', ['ssm:*']);
  };
  const held = heldRegistry(registry, [[{ on: 'list', key: '/ec2/volumes/', time: 2 }, others]]);
  await dlmProcessOver(bench.dlmContext(held, 99)).keeper.step();
  await bench.allow('lifecycle', ['ec2:*']);
  await bench.round();
  assert.deepEqual(await bench.sets(), [bench.setOf(1)]);
  assert.doesNotMatch((await bench.shown(id)).StatusMessage ?? '', /night of/);
});

test('tags of the service cannot be set or taken away by others', async () => {
  using bench = new DlmBench();
  await bench.machine();
  await bench.policy();
  await bench.nights(0);
  const { Snapshots = [] } = await bench.call('DescribeSnapshots', {});
  const Resources = Snapshots.map(({ SnapshotId }) => must(SnapshotId));
  const refused = { code: 'InvalidParameterValue' };
  await assert.rejects(bench.call('DeleteTags', { Resources, Tags: [{ Key: NAME }] }), refused);
  await assert.rejects(bench.call('CreateTags', { Resources, Tags: [{ Key: NAME, Value: 'x' }] }), refused);
  await bench.call('DeleteTags', { Resources });
  assert.deepEqual(await bench.sets(), [bench.setOf(0)]);
  const other = await bench.call('DescribeSnapshots', {}, { region: `${REGION}9` });
  assert.deepEqual(other.Snapshots, []);
});
