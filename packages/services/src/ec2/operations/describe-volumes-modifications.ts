import type { DescribeVolumesModificationsCommand, VolumeModification } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { filtered, type FilterTable, pageOf } from '../ec2-lists.ts';
import { isSeen, named } from '../ec2-lookup.ts';
import { modificationShape } from '../volume-shapes.ts';
import { readScope } from '../volume-facts.ts';

const PAGE_MAX = 500;

/** The last one of each volume that was modified. @throws InvalidVolume.NotFound */
export const describeVolumesModifications =
  (services: Ec2Services): Operation<typeof DescribeVolumesModificationsCommand> =>
  async (input, call) => {
    const scope = scopeOf(call);
    const { VolumeIds: ids } = input;
    demandBuilt(input, ['Filters', 'MaxResults', 'NextToken', 'VolumeIds']);
    const { volumes } = await readScope(services, scope);
    const of = { kind: 'volume', idOf: ({ volume }: (typeof volumes)[number]) => volume.id } as const;
    const all = named(volumes.filter(isSeen), ids, of).flatMap((facts) => modificationShape(facts) ?? []);
    const { items, NextToken } = pageOf(services, {
      items: filtered(all, input.Filters, { table: FILTERS }),
      keyOf: ({ VolumeId = '' }) => VolumeId,
      input,
      scope,
      asked: ['volumes-modifications'],
      ids,
      max: PAGE_MAX,
    });
    return { VolumesModifications: items, ...(NextToken !== undefined && { NextToken }) };
  };

/** Those of https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVolumesModifications.html */
const FILTERS: FilterTable<VolumeModification> = {
  'modification-state': ({ ModificationState }) => [ModificationState],
  'original-iops': ({ OriginalIops }) => [OriginalIops],
  'original-size': ({ OriginalSize }) => [OriginalSize],
  'original-volume-type': ({ OriginalVolumeType }) => [OriginalVolumeType],
  originalMultiAttachEnabled: () => [false],
  'start-time': ({ StartTime }) => [StartTime],
  'target-iops': ({ TargetIops }) => [TargetIops],
  'target-size': ({ TargetSize }) => [TargetSize],
  'target-volume-type': ({ TargetVolumeType }) => [TargetVolumeType],
  targetMultiAttachEnabled: () => [false],
  'volume-id': ({ VolumeId }) => [VolumeId],
};
