import type { DescribeSnapshotsCommand, Snapshot } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { filtered, type FilterTable, ofNothing, pageOf, tagsShown } from '../ec2-lists.ts';
import { named, seenSnapshots } from '../ec2-lookup.ts';
import { snapshotShape } from '../snapshot-shapes.ts';

/** All are of the caller's account. @throws InvalidSnapshot.NotFound, and what lists may not be asked */
export const describeSnapshots =
  (services: Ec2Services): Operation<typeof DescribeSnapshotsCommand> =>
  async (input, call) => {
    const scope = scopeOf(call);
    const { SnapshotIds: ids, OwnerIds, RestorableByUserIds } = input;
    demandBuilt(input, [
      'Filters',
      'MaxResults',
      'NextToken',
      'OwnerIds',
      'RestorableByUserIds',
      'SnapshotIds',
    ]);
    const isAsked = [OwnerIds, RestorableByUserIds].every(
      (owners = []) => owners.length === 0 || owners.includes('self') || owners.includes(scope.account),
    );
    const all = (await seenSnapshots(services, scope)).map((facts) => snapshotShape(scope, facts));
    const asked = named(all, ids, { kind: 'snapshot', idOf }).filter(() => isAsked);
    const { items, NextToken } = pageOf(services, {
      items: filtered(asked, input.Filters, { table: FILTERS, tagsOf: tagsShown }),
      keyOf: idOf,
      input,
      scope,
      asked: ['snapshots', OwnerIds, RestorableByUserIds],
      ids,
    });
    return { Snapshots: items, ...(NextToken !== undefined && { NextToken }) };
  };

const idOf = ({ SnapshotId = '' }: Snapshot) => SnapshotId;

/** Those of https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSnapshots.html */
const FILTERS: FilterTable<Snapshot> = {
  ...ofNothing('owner-alias'),
  description: ({ Description }) => [Description],
  encrypted: ({ Encrypted }) => [Encrypted],
  'owner-id': ({ OwnerId }) => [OwnerId],
  progress: ({ Progress }) => [Progress],
  'snapshot-id': ({ SnapshotId }) => [SnapshotId],
  'start-time': ({ StartTime }) => [StartTime],
  status: ({ State }) => [State],
  'storage-tier': ({ StorageTier }) => [StorageTier],
  'transfer-type': () => ['standard'],
  'volume-id': ({ VolumeId }) => [VolumeId],
  'volume-size': ({ VolumeSize }) => [VolumeSize],
};
