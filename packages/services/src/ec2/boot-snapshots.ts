/** The boot volume of the cluster's first machine, as far as snapshots can be made of it: what they hold is the state of the cluster. */
import type { Scope } from '../scope.ts';
import type { Ec2Services } from './ec2-context.ts';
import { ec2Failures } from './ec2-failures.ts';
import type { SnapshotRecord } from './ec2-records.ts';
import { type InstanceFacts, ownerOfBoot } from './instances.ts';

/** What a record says of the volume that it shows. */
type Shown = Pick<SnapshotRecord, 'volume' | 'ofBoot'>;

/** @throws OperationNotPermitted for that of another machine; UnsupportedOperation where the state is in etcd */
export function shownBoot({ databases }: Ec2Services, { id, machine, boot }: InstanceFacts): Shown {
  if (!machine.isFirst || !boot)
    throw ec2Failures.notPermitted(
      `The boot volume of ${id} cannot be copied: the state of the cluster is on its first machine alone. Say ExcludeBootVolume.`,
    );
  if (databases.moves)
    throw ec2Failures.unsupported(
      `The boot volume of ${id} cannot be copied: the state of this cluster is in etcd. Take a snapshot of that (etcdctl snapshot save).`,
    );
  return { volume: { id: boot.id, sizeGiB: boot.sizeGiB }, ofBoot: id };
}

/** Undefined for what is no boot volume. @throws what `shownBoot` throws */
export async function shownBootOf(
  services: Ec2Services,
  scope: Scope,
  volume: string,
): Promise<Shown | undefined> {
  const owner = await ownerOfBoot(services, scope, volume);
  return owner && shownBoot(services, owner);
}
