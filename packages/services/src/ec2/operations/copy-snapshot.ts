import type { CopySnapshotCommand } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Scope } from '../../scope.ts';
import type { Ec2Services } from '../ec2-context.ts';
import { ec2Failures } from '../ec2-failures.ts';
import { checkedDescription, demandBuilt, given, scopeOf, tagsAtCreation } from '../ec2-inputs.ts';
import { findSnapshot } from '../ec2-lookup.ts';
import { askFor, askForNew } from '../ec2-permissions.ts';
import { tagShapes } from '../volume-shapes.ts';
import { madeSnapshot, newSnapshot } from '../snapshot-making.ts';
import { snapshotState } from '../status.ts';

/**
 * Another one of the same point, in the region that is called: either may be deleted, and the other stays.
 * @throws InvalidSnapshot.NotFound, IncorrectState, and what inputs may not say
 */
export const copySnapshot = (services: Ec2Services): Operation<typeof CopySnapshotCommand> => ({
  async resources({ SourceRegion, SourceSnapshotId, TagSpecifications: tags }, call) {
    const from = sourceScope(call, SourceRegion);
    return [
      await askFor(services, from, ['snapshot', SourceSnapshotId]),
      ...askForNew(call, 'snapshot', { operation: 'CopySnapshot', tags }),
    ];
  },
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, [
      'Description',
      'DestinationRegion',
      // By which another region would know the caller: here it is the same cluster, and was asked already.
      'PresignedUrl',
      'SourceRegion',
      'SourceSnapshotId',
      'TagSpecifications',
    ]);
    const { DestinationRegion, SourceRegion, SourceSnapshotId } = input;
    if (DestinationRegion && DestinationRegion !== scope.region)
      throw ec2Failures.parameter(
        `DestinationRegion ${DestinationRegion.slice(0, 64)} is not the region that was called, ${scope.region}.`,
      );
    const description = checkedDescription(input.Description);
    const tags = tagsAtCreation('snapshot', input.TagSpecifications);
    const source = await findSnapshot(services, sourceScope(call, SourceRegion), SourceSnapshotId);
    const { id, kept, volume } = source.record;
    const state = snapshotState(source);
    if (state !== 'completed') throw ec2Failures.state(`Snapshot is in invalid state - ${state}: ${id}`);
    const record = newSnapshot(services, { volume, description, tags, copyOf: { id, kept } });
    await madeSnapshot(services, scope, record);
    return { SnapshotId: record.id, Tags: tagShapes(tags) };
  },
});

const sourceScope = ({ account }: Scope, region: string | undefined) =>
  scopeOf({ account, region: given(region, 'SourceRegion') });
