/** Who may have all volumes of an instance copied: whoever may CreateSnapshots, or CreateSnapshot, of each, and is denied neither. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResourceAsk } from '@rokka/gateway';
import { must } from '@rokka/kernel';
import { putRolePolicy } from '../iam/operations/put-role-policy.ts';
import { standingRights } from '../iam/standing-rights.ts';
import { serviceRole } from '../sts/service-role.ts';
import { allow, deny, type Statement } from '../testing/decision-row.ts';
import { Ec2Bench } from '../testing/ec2-bench.ts';
import { ACCOUNT, callIn, REGION } from '../testing/service-bench.ts';
import { ec2Arn } from './ec2-arns.ts';
import { ec2Operations } from './ec2-handlers.ts';
import { ec2ServicesOf } from './ec2-services.ts';
import { askForImagedInstance, askForInstanceSnapshots } from './instance-snapshots.ts';

const scope = { account: ACCOUNT, region: REGION };
const [ALL, ONE, IMAGE] = ['ec2:CreateSnapshots', 'ec2:CreateSnapshot', 'ec2:CreateImage'];

test('of the two actions one is enough, on each resource, and a denial of either counts', async () => {
  using bench = new Ec2Bench();
  const volume = ec2Arn(scope, 'volume', await bench.attached());
  const specification = { InstanceId: await bench.instance(), ExcludeBootVolume: true };
  const instance = ec2Arn(scope, 'instance', specification.InstanceId);
  const made = ec2Arn(scope, 'snapshot', '*');
  const tags = [{ ResourceType: 'snapshot' as const, Tags: [{ Key: 'a', Value: 'b' }] }];
  const found = await askForInstanceSnapshots(ec2ServicesOf(bench.context), scope, { specification, tags });
  const denied = await deniedOf(bench, found, ALL);
  const tagging = allow('ec2:CreateTags');
  assert.equal(await denied(tagging, allow(ALL)), undefined);
  assert.equal(await denied(tagging, allow(ONE)), undefined);
  assert.equal(await denied(tagging, allow(ONE), allow(ALL)), undefined);
  assert.equal(await denied(tagging), `${ALL} ${instance}`);
  assert.equal(await denied(allow(ONE)), `ec2:CreateTags ${made}`);
  assert.equal(await denied(tagging, allow(ALL), deny(ONE)), `${ALL} ${instance}`);
  assert.equal(await denied(tagging, allow(ONE), deny(ALL)), `${ALL} ${instance}`);
  assert.equal(await denied(tagging, allow(ONE), deny(ONE)), `${ALL} ${instance}`);
  assert.equal(await denied(tagging, allow(ONE), deny(ALL, volume)), `${ALL} ${volume}`);
  assert.equal(await denied(tagging, allow(ALL), deny(ONE, volume)), `${ALL} ${volume}`);
  assert.equal(await denied(tagging, allow(ONE, instance), allow(ONE, volume)), `${ALL} ${made}`);
  assert.equal(await denied(tagging, allow(ONE, instance), allow(ALL, volume), allow(ONE, made)), undefined);
  assert.equal(await denied(tagging, allow(ONE, instance), allow(ONE, made)), `${ALL} ${volume}`);
});

test('whoever is denied a copy of a volume gets none by making an image', async () => {
  using bench = new Ec2Bench();
  await bench.attached();
  const specification = { InstanceId: await bench.instance() };
  const instance = ec2Arn(scope, 'instance', specification.InstanceId);
  const boot = ec2Arn(scope, 'volume', await bench.boot());
  const tags = undefined;
  const services = ec2ServicesOf(bench.context);
  const found = await askForImagedInstance(services, scope, { specification, tags });
  const denied = await deniedOf(bench, found, IMAGE);
  assert.equal(await denied(allow(IMAGE)), undefined);
  assert.equal(await denied(allow('ec2:*'), deny(IMAGE, boot)), `${IMAGE} ${boot}`);
  assert.equal(await denied(allow('ec2:*'), deny(ONE, boot)), `${IMAGE} ${boot}`);
  assert.equal(await denied(allow('ec2:*'), deny(ALL, boot)), `${IMAGE} ${boot}`);
  assert.equal(await denied(allow(ALL)), undefined);
  assert.equal(await denied(allow(IMAGE, 'arn:aws:ec2:*:*:volume/*')), `${IMAGE} ${instance}`);
});

test('a volume that is attached after the caller was asked for all of them is not copied', async () => {
  for (const name of ['CreateSnapshots', 'CreateImage'] as const) {
    using bench = new Ec2Bench();
    await bench.attached();
    const InstanceId = await bench.instance();
    const input =
      name === 'CreateImage' ? { Name: 'one', InstanceId } : { InstanceSpecification: { InstanceId } };
    const { resources, handle } = ec2Operations(bench.context)[name] as unknown as {
      resources: (given: object, call: object) => Promise<unknown>;
      handle: (given: object, call: object) => Promise<unknown>;
    };
    const call = callIn({ account: ACCOUNT, region: REGION });
    await resources(input, call);
    await bench.attached('/dev/sdg');
    await assert.rejects(handle(input, call), { name: 'IncorrectState', message: /attached meanwhile/ });
    assert.deepEqual((await bench.call('DescribeSnapshots', {})).Snapshots, []);
    await resources(input, call);
    await handle(input, call);
    assert.equal((await bench.call('DescribeSnapshots', {})).Snapshots?.length, 3);
  }
});

/** Of statements: what they do not allow of these, whoever asks for it. */
async function deniedOf(bench: Ec2Bench, found: readonly ResourceAsk[], action: string) {
  const asks = found.map((ask) => ({ action, ...ask }));
  await bench.profile('box');
  const { identity, clock } = bench.context;
  const { id } = must(await identity.store.read<{ id: string }>(`accounts/${ACCOUNT}/iam/roles/box`));
  const session = `arn:aws:sts::${ACCOUNT}:assumed-role/box/night`;
  const principal = {
    account: ACCOUNT,
    arn: session,
    userId: `${id}:night`,
    kind: 'assumed-role' as const,
  };
  return async (...statements: Statement[]) => {
    const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement: statements });
    await putRolePolicy({ RoleName: 'box', PolicyName: 'p', PolicyDocument }, bench.iam);
    const role = await serviceRole({
      identity,
      clock,
      arn: `arn:aws:iam::${ACCOUNT}:role/box`,
      service: 'ec2.amazonaws.com',
      region: REGION,
      sessionName: 'night',
    });
    if ('missing' in role) assert.fail(role.missing);
    const first = await role.firstDenied(asks);
    const standing = await standingRights({ identity, clock }).firstDenied(
      { principal },
      { region: REGION, asks },
    );
    assert.deepEqual(standing, first);
    return first && `${first.action} ${first.arn}`;
  };
}
