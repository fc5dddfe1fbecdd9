import type { DescribeVolumeStatusCommand, VolumeStatusItem } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { filtered, type FilterTable, ofNothing, pageOf } from '../ec2-lists.ts';
import { isSeen, named } from '../ec2-lookup.ts';
import { readScope, type VolumeFacts } from '../volume-facts.ts';

/** Whether its files could be opened, the last time that they were. Of disks of machines nothing is known. @throws InvalidVolume.NotFound */
export const describeVolumeStatus =
  (services: Ec2Services): Operation<typeof DescribeVolumeStatusCommand> =>
  async (input, call) => {
    const scope = scopeOf(call);
    const { VolumeIds: ids } = input;
    demandBuilt(input, ['Filters', 'MaxResults', 'NextToken', 'VolumeIds']);
    const { volumes } = await readScope(services, scope);
    const all = volumes.filter(isSeen).map(statusShape);
    const { items, NextToken } = pageOf(services, {
      items: filtered(named(all, ids, { kind: 'volume', idOf }), input.Filters, { table: FILTERS }),
      keyOf: idOf,
      input,
      scope,
      asked: ['volume-status'],
      ids,
    });
    return { VolumeStatuses: items, ...(NextToken !== undefined && { NextToken }) };
  };

const idOf = ({ VolumeId = '' }: VolumeStatusItem) => VolumeId;

function statusShape({ volume, state }: VolumeFacts): VolumeStatusItem {
  const hasFailed = state?.phase === 'failed';
  const isKnown = hasFailed || volume.ready === true;
  return {
    VolumeId: volume.id,
    AvailabilityZone: volume.zone,
    VolumeStatus: {
      Status: hasFailed ? 'impaired' : isKnown ? 'ok' : 'insufficient-data',
      Details: isKnown
        ? [
            { Name: 'io-enabled', Status: hasFailed ? 'failed' : 'passed' },
            { Name: 'io-performance', Status: 'not-applicable' },
          ]
        : [],
    },
    Actions: [],
    Events: [],
    ...(volume.attachment && {
      AttachmentStatuses: [{ InstanceId: volume.attachment.instance, IoPerformance: 'not-applicable' }],
    }),
  };
}

/** Those of https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVolumeStatus.html */
const FILTERS: FilterTable<VolumeStatusItem> = {
  ...ofNothing(
    'action.code',
    'action.description',
    'action.event-id',
    'event.description',
    'event.event-id',
    'event.event-type',
    'event.not-after',
    'event.not-before',
  ),
  'attachment-status.instance-id': ({ AttachmentStatuses = [] }) =>
    AttachmentStatuses.map(({ InstanceId }) => InstanceId),
  'attachment-status.io-performance': ({ AttachmentStatuses = [] }) =>
    AttachmentStatuses.map(({ IoPerformance }) => IoPerformance),
  'availability-zone': ({ AvailabilityZone }) => [AvailabilityZone],
  'volume-status.details-name': ({ VolumeStatus }) => (VolumeStatus?.Details ?? []).map(({ Name }) => Name),
  'volume-status.details-status': ({ VolumeStatus }) =>
    (VolumeStatus?.Details ?? []).map(({ Status }) => Status),
  'volume-status.status': ({ VolumeStatus }) => [VolumeStatus?.Status],
};
