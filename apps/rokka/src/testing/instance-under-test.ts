/** The instance that a cluster under test is: its volumes, its role, and the commands that are sent to it. */
import * as ec2 from '@aws-sdk/client-ec2';
import * as iam from '@aws-sdk/client-iam';
import { SSMClient } from '@aws-sdk/client-ssm';
import { must } from '@rokka/kernel';
import { readIdentity } from '../data-directory.ts';
import type { CloudUnderTest } from './cloud-under-test.ts';
import { Ec2UnderTest } from './ec2-under-test.ts';
import { RunCommandUnderTest } from './run-command.ts';

const Name = 'instance';

export class InstanceUnderTest {
  readonly own: Ec2UnderTest;
  readonly commands: RunCommandUnderTest;
  readonly #iam: iam.IAMClient;

  private constructor(of: { own: Ec2UnderTest; iam: iam.IAMClient; commands: RunCommandUnderTest }) {
    this.own = of.own;
    this.#iam = of.iam;
    this.commands = of.commands;
  }

  /** Resolves when its agent is there. */
  static async of(cloud: CloudUnderTest): Promise<InstanceUnderTest> {
    const client = cloud.client(cloud.administratorKey());
    const { cluster } = must(readIdentity(cloud.rokka.place.data));
    const own = new Ec2UnderTest(new ec2.EC2Client(client), cluster);
    const commands = new RunCommandUnderTest(new SSMClient(client), await own.instance());
    await commands.online();
    return new InstanceUnderTest({ own, iam: new iam.IAMClient(client), commands });
  }

  async giveRole(): Promise<void> {
    const trust = { Effect: 'Allow', Principal: { Service: 'ec2.amazonaws.com' }, Action: 'sts:AssumeRole' };
    const AssumeRolePolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement: [trust] });
    await this.#iam.send(new iam.CreateRoleCommand({ RoleName: Name, AssumeRolePolicyDocument }));
    await this.#iam.send(new iam.CreateInstanceProfileCommand({ InstanceProfileName: Name }));
    await this.#iam.send(
      new iam.AddRoleToInstanceProfileCommand({ InstanceProfileName: Name, RoleName: Name }),
    );
    const InstanceId = await this.own.instance();
    await this.own.client.send(
      new ec2.AssociateIamInstanceProfileCommand({ InstanceId, IamInstanceProfile: { Name } }),
    );
  }

  /** Its role may do these operations of EC2 and nothing else. */
  async allow(...operations: string[]): Promise<void> {
    const Action = operations.map((operation) => `ec2:${operation}`);
    const PolicyDocument = JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action, Resource: '*' }],
    });
    await this.#iam.send(new iam.PutRolePolicyCommand({ RoleName: Name, PolicyName: Name, PolicyDocument }));
  }

  /** All that a snapshot needs: a role with these rights and no others, and the writers. */
  async mayMakeSnapshots(): Promise<void> {
    await this.giveRole();
    await this.allow('DescribeInstances', 'CreateTags', 'CreateSnapshots');
    await this.installWriters();
  }

  installWriters() {
    return this.commands.run('AWS-ConfigureAWSPackage', { action: 'Install', name: 'AwsVssComponents' });
  }

  snapshot(more: Readonly<Record<string, string>> = {}) {
    return this.commands.run('AWSEC2-CreateVssSnapshot', { ExcludeBootVolume: 'True', ...more });
  }
}
