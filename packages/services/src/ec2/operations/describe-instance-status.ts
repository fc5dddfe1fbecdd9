import type { DescribeInstanceStatusCommand, InstanceStatus } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { filtered, type FilterTable, ofNothing, pageOf } from '../ec2-lists.ts';
import { named } from '../ec2-lookup.ts';
import { instanceStatusShape } from '../instance-shapes.ts';
import { listInstances } from '../instances.ts';

/** All of them run, as far as is known: IncludeAllInstances adds none. @throws InvalidInstanceID.NotFound */
export const describeInstanceStatus =
  (services: Ec2Services): Operation<typeof DescribeInstanceStatusCommand> =>
  async (input, call) => {
    const scope = scopeOf(call);
    const { InstanceIds: ids } = input;
    demandBuilt(input, ['Filters', 'IncludeAllInstances', 'InstanceIds', 'MaxResults', 'NextToken']);
    const all = (await listInstances(services, scope)).map(instanceStatusShape);
    const { items, NextToken } = pageOf(services, {
      items: filtered(named(all, ids, { kind: 'instance', idOf }), input.Filters, { table: FILTERS }),
      keyOf: idOf,
      input,
      scope,
      asked: ['instance-status'],
      ids,
    });
    return { InstanceStatuses: items, ...(NextToken !== undefined && { NextToken }) };
  };

const idOf = ({ InstanceId = '' }: InstanceStatus) => InstanceId;

/** Those of https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceStatus.html */
const FILTERS: FilterTable<InstanceStatus> = {
  ...ofNothing(
    'application-status.status',
    'attached-ebs-status.status',
    'availability-zone-id',
    'event.code',
    'event.description',
    'event.instance-event-id',
    'event.not-after',
    'event.not-before',
    'event.not-before-deadline',
    'operator.principal',
  ),
  'availability-zone': ({ AvailabilityZone }) => [AvailabilityZone],
  'instance-state-code': ({ InstanceState }) => [InstanceState?.Code],
  'instance-state-name': ({ InstanceState }) => [InstanceState?.Name],
  'instance-status.reachability': (of) => (of.InstanceStatus?.Details ?? []).map(({ Status }) => Status),
  'instance-status.status': (of) => [of.InstanceStatus?.Status],
  'operator.managed': () => [false],
  'system-status.reachability': (of) => (of.SystemStatus?.Details ?? []).map(({ Status }) => Status),
  'system-status.status': (of) => [of.SystemStatus?.Status],
};
