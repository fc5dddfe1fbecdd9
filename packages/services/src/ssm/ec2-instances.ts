/** The instances of EC2, as SSM has them: its targets are found by the tags that EC2 keeps. */
import type { Ec2Context } from '../ec2/ec2-context.ts';
import { listTaggedInstances } from '../ec2/instance-tags.ts';
import type { SsmContext } from './ssm-context.ts';

/** @throws errors of the registry */
export const ec2Instances =
  (ec2: Pick<Ec2Context, 'machines' | 'registry'>): SsmContext['instances'] =>
  async (scope) =>
    (await listTaggedInstances(ec2, scope)).map(({ id, machine, tags }) => ({
      id,
      machineKey: machine.key,
      tags: Object.fromEntries(tags.map(({ Key, Value }) => [Key, Value])),
    }));
