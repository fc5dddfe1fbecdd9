/** A snapshot of one volume: what that asks for, how it is begun, and how one goes. */
import type { TagSpecification } from '@aws-sdk/client-ec2';
import type { ResourceAsk } from '@rokka/gateway';
import type { Scope } from '../scope.ts';
import { type Tag, withTags } from '../tags.ts';
import { shownBootOf } from './boot-snapshots.ts';
import type { Ec2Services } from './ec2-context.ts';
import { ec2Failures } from './ec2-failures.ts';
import { checkedId, tagRules } from './ec2-inputs.ts';
import { findVolume } from './ec2-lookup.ts';
import { askFor, askForNew } from './ec2-permissions.ts';
import { recordPrefixes, type SnapshotRecord, type VolumeRecord } from './ec2-records.ts';
import { readImages } from './image-facts.ts';
import { copiedTags } from './snapshot-claims.ts';
import { changeSnapshot, type SnapshotFacts } from './snapshot-facts.ts';
import { demandBucket, madeSnapshot, newSnapshot } from './snapshot-making.ts';
import { forget } from './snapshot-steps.ts';
import { demandState } from './volume-changes.ts';

interface VolumeSnapshot {
  /** Of the snapshot. With one that is there already, nothing more is made. */
  readonly id?: string;
  readonly volume: string | undefined;
  readonly description: string;
  readonly tags: readonly Tag[];
  /** Whether it has the tags of its volume, beside. */
  readonly copiesTags: boolean;
}

export async function askForVolumeSnapshot(
  services: Ec2Services,
  scope: Scope,
  of: { volume: string | undefined; tags: readonly TagSpecification[] | undefined },
): Promise<ResourceAsk[]> {
  return [
    await askFor(services, scope, ['volume', of.volume]),
    ...askForNew(scope, 'snapshot', { operation: 'CreateSnapshot', tags: of.tags }),
  ];
}

/** @throws InvalidVolume.NotFound, IncorrectState, TagLimitExceeded, OperationNotPermitted for the boot volume of another machine, UnsupportedOperation */
export async function makeVolumeSnapshot(
  services: Ec2Services,
  scope: Scope,
  of: VolumeSnapshot,
): Promise<SnapshotFacts> {
  const boot = await shownBootOf(services, scope, checkedId('volume', of.volume));
  const { tags, ...shown } = boot ? { ...boot, tags: [] } : await shownVolume(services, scope, of.volume);
  demandBucket(services, `Volume ${shown.volume.id} gets no snapshot`);
  const record = newSnapshot(services, {
    ...(of.id !== undefined && { id: of.id }),
    ...shown,
    description: of.description,
    tags: of.copiesTags ? withTags(copiedTags(tags), of.tags, tagRules) : of.tags,
  });
  return madeSnapshot(services, scope, record);
}

async function shownVolume(services: Ec2Services, scope: Scope, text: string | undefined) {
  const facts = await findVolume(services, scope, text);
  demandState(facts, ['available', 'in-use']);
  const { id, sizeGiB, tags } = facts.volume;
  return { volume: { id, sizeGiB }, tags };
}

/**
 * One that is pending may go too: where it is of a set, the others are finished.
 * @throws InvalidSnapshot.NotFound; InvalidSnapshot.InUse while a volume is being made of it, or an image names it
 */
export async function removeSnapshot(
  services: Ec2Services,
  scope: Scope,
  facts: SnapshotFacts,
): Promise<void> {
  const { store } = services;
  const { id, kept, imaged } = facts.record;
  const volumes = await store.list<VolumeRecord>(recordPrefixes.volumes(scope));
  const made = volumes.find(({ wish }) => wish?.kept === kept);
  if (made)
    throw ec2Failures.snapshotInUse(
      `The snapshot ${id} is currently in use: volume ${made.id} is being made of it.`,
    );
  const image = (await readImages(services, scope)).find(({ record: { devices } }) =>
    devices.some(({ snapshot }) => snapshot === id),
  );
  if (image) throw ec2Failures.snapshotInUse(`The snapshot ${id} is currently in use by ${image.record.id}`);
  // Whoever makes one after this look has written itself down in the record.
  const demandNoImage = (found: SnapshotRecord) => {
    if (found.imaged !== imaged)
      throw ec2Failures.snapshotInUse(`The snapshot ${id} is currently in use by ${found.imaged}`);
  };
  const markDeleted = (found: SnapshotRecord): SnapshotRecord => {
    demandNoImage(found);
    return found.deleted ? found : { ...found, deleted: true };
  };
  const isRemoved =
    facts.set && !facts.set.isFinished
      ? await changeSnapshot(store, scope, { facts, change: markDeleted })
      : await forget({ ...services, scope }, facts, demandNoImage);
  if (!isRemoved) throw ec2Failures.notFound('snapshot', [id]);
}
