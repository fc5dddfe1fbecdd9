/** The steps of keeping.ts for images, carried out. */
import { unreachable } from '@rokka/kernel';
import { liveClaim, makeClaim, nameClaimOf } from './claims.ts';
import type { StepContext } from './ec2-context.ts';
import { type ImageRecord, recordKeys, type SnapshotRecord, type SnapshotSetRecord } from './ec2-records.ts';
import { changeImage, type ImageFacts, readImage } from './image-facts.ts';
import type { ImageStep } from './keeping.ts';
import { changeSnapshot, isShown, type SnapshotFacts } from './snapshot-facts.ts';

export async function carryOutImage(of: StepContext, facts: ImageFacts, step: ImageStep): Promise<void> {
  const { store, scope } = of;
  switch (step) {
    case 'none':
      return;
    case 'claim-name':
      return claimName(of, facts);
    case 'confirm':
      await changeImage(store, scope, { facts, change: withoutDoubt });
      return;
    case 'withdraw':
      return withdraw(of, facts);
    default:
      return unreachable(step);
  }
}

/**
 * One that is made of snapshots which were there before writes itself down in each: from then on nobody deletes it who has not seen the image.
 * What was made for an image is in its record, and was never without it.
 */
async function claimName(of: StepContext, facts: ImageFacts): Promise<void> {
  const { store, scope } = of;
  const { id } = facts.record;
  if (facts.key === recordKeys.image(scope, id)) {
    for (const each of facts.snapshots) if (each) await changeSnapshot(store, scope, imagedBy(id, each));
    const seen = await readImage(of, scope, id);
    if (!seen?.snapshots.every((each) => each && isShown(each))) return takeBack(of, facts);
  }
  await makeClaim(store, nameClaimOf(scope, facts.record, facts.key));
}

const imagedBy = (imaged: string, facts: SnapshotFacts) => ({
  facts,
  change: (found: SnapshotRecord) =>
    found.deleted || found.imaged === imaged ? found : { ...found, imaged },
});

/** With the snapshots of its set: they were made for it, and nobody has seen them. */
async function withdraw(of: StepContext, facts: ImageFacts): Promise<void> {
  const { store, scope } = of;
  const { record, key } = facts;
  const holder = await liveClaim(store, nameClaimOf(scope, record, key).key);
  // The one that had it has gone: it may be this one's after all.
  if (!holder || holder.holder === record.id) return;
  await takeBack(of, facts);
}

async function takeBack({ store }: StepContext, { key }: ImageFacts): Promise<void> {
  await store.change<ImageRecord | SnapshotSetRecord>(key, (found) => {
    const image = found && 'members' in found ? found.image : found;
    return image?.unconfirmed ? undefined : found;
  });
}

function withoutDoubt(found: ImageRecord): ImageRecord {
  const { unconfirmed, ...rest } = found;
  return unconfirmed ? rest : found;
}
