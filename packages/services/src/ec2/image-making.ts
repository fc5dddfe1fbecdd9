/** An image is made: by one write, which says all of it, and counts once it has its name. And it goes. */
import type { Scope } from '../scope.ts';
import { imageNameKey, liveClaim, nameClaimOf, releaseClaim } from './claims.ts';
import type { Ec2Services } from './ec2-context.ts';
import { ec2Failures } from './ec2-failures.ts';
import { newImageId } from './ec2-ids.ts';
import { findSnapshot } from './ec2-lookup.ts';
import { type ImageRecord, recordKeys, type SnapshotSetRecord } from './ec2-records.ts';
import { changeImage, type ImageFacts } from './image-facts.ts';
import { settledSnapshots } from './snapshot-making.ts';

/** One that nobody has yet. */
export const newImage = (
  { clock, random }: Ec2Services,
  of: Omit<ImageRecord, 'id' | 'createdAtMs' | 'unconfirmed'>,
): ImageRecord => ({ id: newImageId(random), createdAtMs: clock.wallMs(), ...of, unconfirmed: true });

/** Of snapshots that are there. @throws InvalidAMIName.Duplicate; InvalidSnapshot.NotFound where one goes meanwhile */
export async function madeImage(
  services: Ec2Services,
  scope: Scope,
  image: ImageRecord,
): Promise<ImageFacts> {
  const { store } = services;
  await demandFreeName(services, scope, image.name);
  await store.enter(scope);
  await store.create(recordKeys.image(scope, image.id), image);
  const facts = await services.keeper.settleImage(scope, image.id);
  if (facts) return facts;
  for (const { snapshot } of image.devices) await findSnapshot(services, scope, snapshot);
  return whyGone(services, scope, image);
}

/** With the snapshots that it is of, by one write: so that a crash leaves both or neither. @throws InvalidAMIName.Duplicate */
export async function madeImageOfSet(
  services: Ec2Services,
  scope: Scope,
  of: { set: SnapshotSetRecord; image: ImageRecord },
): Promise<ImageFacts> {
  const { set, image } = of;
  await demandFreeName(services, scope, image.name);
  await services.store.enter(scope);
  await services.store.create(recordKeys.set(scope, set.id), { ...set, image });
  const facts = await services.keeper.settleImage(scope, image.id);
  if (!facts) return whyGone(services, scope, image);
  await settledSnapshots(services, scope, set.members);
  return facts;
}

/** The snapshots that it names stay. @returns false where somebody else has done it already */
export async function removeImage({ store }: Ec2Services, scope: Scope, facts: ImageFacts): Promise<boolean> {
  const removed = await changeImage(store, scope, { facts, change: () => undefined });
  // Were this cut short in between, the keeper would do it.
  if (removed) await releaseClaim(store, nameClaimOf(scope, facts.record, facts.key));
  return removed;
}

/** Before anything is written: whoever takes it after that is met when the claim is made. */
async function demandFreeName({ store }: Ec2Services, scope: Scope, name: string): Promise<void> {
  const holder = await liveClaim(store, imageNameKey(scope, name));
  if (holder) throw ec2Failures.imageNameTaken(name, holder.holder);
}

async function whyGone(services: Ec2Services, scope: Scope, { id, name }: ImageRecord): Promise<never> {
  await demandFreeName(services, scope, name);
  // Somebody has deregistered it already.
  throw ec2Failures.notFound('image', [id]);
}
