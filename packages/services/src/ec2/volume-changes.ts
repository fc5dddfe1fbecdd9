/** A volume is changed: by one write of its record, on what was read, and then carried out. */
import type { Scope } from '../scope.ts';
import type { Ec2Services } from './ec2-context.ts';
import { asEc2Failure, ec2Failures } from './ec2-failures.ts';
import { recordKeys, type VolumeRecord } from './ec2-records.ts';
import { volumeState, type VolumeState } from './status.ts';
import type { VolumeFacts } from './volume-facts.ts';

/** `change` may run several times, and may throw. @throws InvalidVolume.NotFound */
export async function changeVolume(
  { store }: Ec2Services,
  scope: Scope,
  of: { facts: VolumeFacts; change: (found: VolumeRecord) => VolumeRecord },
): Promise<void> {
  const { id } = of.facts.volume;
  await store.change<VolumeRecord>(recordKeys.volume(scope, id), (found) => {
    if (!found) throw ec2Failures.notFound('volume', [id]);
    return of.change(found);
  });
}

/** Carries out what has been written. @returns undefined where it is gone */
export async function settled(
  { keeper }: Ec2Services,
  scope: Scope,
  { id }: Pick<VolumeRecord, 'id'>,
): Promise<VolumeFacts | undefined> {
  try {
    return await keeper.settleVolume(scope, id);
  } catch (error) {
    throw asEc2Failure(error);
  }
}

/** @throws IncorrectState */
export function demandState(facts: VolumeFacts, allowed: readonly VolumeState[]): void {
  const state = volumeState(facts);
  if (allowed.includes(state)) return;
  throw ec2Failures.state(
    `Volume '${facts.volume.id}' is in the '${state}' state, and must be in ${allowed.join(' or ')}.`,
  );
}
