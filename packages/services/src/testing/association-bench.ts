/** Associations of a bench of SSM: made, carried out, and as they are told. */
import type { CreateAssociationCommand } from '@aws-sdk/client-ssm';
import type { InputOf } from '@rokka/gateway';
import { must } from '@rokka/kernel';
import { SsmBench, success } from './ssm-bench.ts';

export type AssociationInput = InputOf<typeof CreateAssociationCommand>;

export const RED = [{ Key: 'tag:team', Values: ['red'] }];
export const HOUR_MS = 3_600_000;
export const HOURLY = 'rate(1 hour)';

/** With agents that are there. */
export async function openAssociations(machines = 3): Promise<SsmBench> {
  const bench = new SsmBench(undefined, machines);
  await bench.hello();
  return bench;
}

/** A shell script on the red ones unless the input says otherwise. @returns its id */
export async function associate(bench: SsmBench, input: Partial<AssociationInput> = {}): Promise<string> {
  const { AssociationDescription } = await bench.call('CreateAssociation', {
    Name: 'AWS-RunShellScript',
    Parameters: { commands: ['true'] },
    Targets: RED,
    ...input,
  });
  return must(AssociationDescription?.AssociationId);
}

/** Agents and keeper, until nothing goes on. */
export async function carriedOut(bench: SsmBench, ending = success): Promise<void> {
  for (let rounds = 0; rounds < 4; rounds++) {
    await bench.process.keeper.step();
    for (const instance of bench.instances) await bench.carryOut(instance, ending);
  }
  await bench.process.keeper.step();
}

export async function described(bench: SsmBench, AssociationId: string) {
  const { AssociationDescription } = await bench.call('DescribeAssociation', { AssociationId });
  return must(AssociationDescription);
}

/** `Success Success {Success=2}`, the newest first. */
export async function executions(bench: SsmBench, AssociationId: string): Promise<string[]> {
  const { AssociationExecutions = [] } = await bench.call('DescribeAssociationExecutions', { AssociationId });
  return AssociationExecutions.map(
    ({ Status, DetailedStatus, ResourceCountByStatus }) =>
      `${Status} ${DetailedStatus} ${ResourceCountByStatus}`,
  );
}
