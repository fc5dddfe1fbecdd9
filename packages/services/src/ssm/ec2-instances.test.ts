/** Commands and lists find instances by the tags that EC2 keeps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { standingRights } from '../iam/standing-rights.ts';
import { Ec2Bench } from '../testing/ec2-bench.ts';
import { agentOf } from '../testing/ssm-bench.ts';
import { callEntry } from '../testing/service-bench.ts';
import { CommandDesk } from './command-desk.ts';
import { ec2Instances } from './ec2-instances.ts';
import { ssmOperations } from './ssm-handlers.ts';

test('a command is sent to the instances that have a tag, and they are listed by it', async () => {
  using bench = new Ec2Bench();
  const { registry, clock, random } = bench.context;
  const of = { instances: ec2Instances(bench.context), rights: standingRights(bench.context) };
  const table = ssmOperations({ registry, clock, random, ...of });
  const desk = new CommandDesk({ registry, clock });
  for (const machineKey of ['first', 'second']) await desk.hello(agentOf(machineKey));
  const one = await bench.instance();
  const send = async (): Promise<unknown> => {
    const { Command } = (await callEntry(table.SendCommand, {
      DocumentName: 'AWS-RunShellScript',
      Parameters: { commands: ['true'] },
      Targets: [{ Key: 'tag:team', Values: ['red'] }],
    })) as { Command: { TargetCount: number } };
    return Command.TargetCount;
  };
  assert.equal(await send(), 0);
  await bench.call('CreateTags', { Resources: [one], Tags: [{ Key: 'team', Value: 'red' }] });
  assert.equal(await send(), 1);
  const [delivery, ...others] = await desk.deliveries('first');
  assert.deepEqual([delivery.instance, others.length], [one, 0]);
  assert.deepEqual(await desk.deliveries('second'), []);
  const Filters = [{ Key: 'tag:team', Values: ['red'] }];
  const listed = (await callEntry(table.DescribeInstanceInformation, { Filters })) as {
    InstanceInformationList: { InstanceId: string }[];
  };
  assert.deepEqual(
    listed.InstanceInformationList.map(({ InstanceId }) => InstanceId),
    [one],
  );
});
