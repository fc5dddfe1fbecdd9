/** What an input names, found; or the error that says that it is not there. */
import type { Scope } from '../scope.ts';
import type { Ec2Services } from './ec2-context.ts';
import { ec2Failures } from './ec2-failures.ts';
import type { ResourceKind } from './ec2-ids.ts';
import { checkedId } from './ec2-inputs.ts';
import { type ImageFacts, readImages } from './image-facts.ts';
import { ownerOfBoot } from './instances.ts';
import { isShown, readSnapshots, type SnapshotFacts } from './snapshot-facts.ts';
import { readVolume, type VolumeFacts } from './volume-facts.ts';

/** @throws InvalidVolume.NotFound; OperationNotPermitted for a boot volume */
export async function findVolume(
  services: Ec2Services,
  scope: Scope,
  text: string | undefined,
): Promise<VolumeFacts> {
  const id = checkedId('volume', text);
  const facts = await readVolume(services, scope, id);
  if (facts && isSeen(facts)) return facts;
  const owner = await ownerOfBoot(services, scope, id);
  if (owner)
    throw ec2Failures.notPermitted(
      `Volume ${id} is the boot volume of ${owner.id}: the disk that the cluster itself stands on. Snapshots can be made of it, and nothing else.`,
    );
  throw ec2Failures.notFound('volume', [id]);
}

/** Whether a volume counts: one of several with the same token may not yet. */
export const isSeen = ({ volume }: VolumeFacts) => !volume.unconfirmed;

/** @throws InvalidSnapshot.NotFound */
export async function findSnapshot(
  services: Ec2Services,
  scope: Scope,
  text: string | undefined,
): Promise<SnapshotFacts> {
  const id = checkedId('snapshot', text);
  const found = (await seenSnapshots(services, scope)).find(({ record }) => record.id === id);
  if (!found) throw ec2Failures.notFound('snapshot', [id]);
  return found;
}

/** In the order of their ids. */
export async function seenSnapshots(services: Ec2Services, scope: Scope): Promise<SnapshotFacts[]> {
  return (await readSnapshots(services, scope)).filter(isShown);
}

/** @throws InvalidAMIID.NotFound */
export async function findImage(
  services: Ec2Services,
  scope: Scope,
  text: string | undefined,
): Promise<ImageFacts> {
  const id = checkedId('image', text);
  const found = (await seenImages(services, scope)).find(({ record }) => record.id === id);
  if (!found) throw ec2Failures.notFound('image', [id]);
  return found;
}

/** In the order of their ids. */
export async function seenImages(services: Ec2Services, scope: Scope): Promise<ImageFacts[]> {
  return (await readImages(services, scope)).filter(({ record }) => !record.unconfirmed);
}

/** Of a list, those that the ids name; all where there are none. @throws the kind's NotFound, Malformed */
export function named<T>(
  items: readonly T[],
  ids: readonly string[] = [],
  of: { kind: ResourceKind; idOf: (item: T) => string },
): T[] {
  if (ids.length === 0) return [...items];
  const wanted = new Set(ids.map((id) => checkedId(of.kind, id)));
  const found = items.filter((item) => wanted.has(of.idOf(item)));
  for (const item of found) wanted.delete(of.idOf(item));
  if (wanted.size > 0) throw ec2Failures.notFound(of.kind, [...wanted]);
  return found;
}
