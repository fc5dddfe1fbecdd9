/** The steps of keeping.ts for images, carried out. */
import { unreachable } from '@rokka/kernel';
import { liveClaim, makeClaim, nameClaimOf } from './claims.ts';
import type { StepContext } from './ec2-context.ts';
import type { ImageRecord, SnapshotSetRecord } from './ec2-records.ts';
import { changeImage, type ImageFacts } from './image-facts.ts';
import type { ImageStep } from './keeping.ts';

export async function carryOutImage(of: StepContext, facts: ImageFacts, step: ImageStep): Promise<void> {
  const { store, scope } = of;
  switch (step) {
    case 'none':
      return;
    case 'claim-name':
      return makeClaim(store, nameClaimOf(scope, facts.record, facts.key));
    case 'confirm':
      await changeImage(store, scope, { facts, change: withoutDoubt });
      return;
    case 'withdraw':
      return withdraw(of, facts);
    default:
      return unreachable(step);
  }
}

/** With the snapshots of its set: they were made for it, and nobody has seen them. */
async function withdraw({ store, scope }: StepContext, { record, key }: ImageFacts): Promise<void> {
  const holder = await liveClaim(store, nameClaimOf(scope, record, key).key);
  // The one that had it has gone: it may be this one's after all.
  if (!holder || holder.holder === record.id) return;
  await store.change<ImageRecord | SnapshotSetRecord>(key, (found) => {
    const image = found && 'members' in found ? found.image : found;
    return image?.unconfirmed ? undefined : found;
  });
}

function withoutDoubt(found: ImageRecord): ImageRecord {
  const { unconfirmed, ...rest } = found;
  return unconfirmed ? rest : found;
}
