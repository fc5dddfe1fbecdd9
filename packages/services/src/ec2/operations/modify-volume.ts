import type { ModifyVolumeCommand } from '@aws-sdk/client-ec2';
import type { InputOf, Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { ec2Failures } from '../ec2-failures.ts';
import { checkedKind, checkedSize, demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { findVolume } from '../ec2-lookup.ts';
import { askFor } from '../ec2-permissions.ts';
import type { VolumeRecord } from '../ec2-records.ts';
import { modificationShape } from '../volume-shapes.ts';
import { changeVolume, demandState, settled } from '../volume-changes.ts';

type Input = InputOf<typeof ModifyVolumeCommand>;

/**
 * It may grow, while it is in use too. Its type is a word.
 * @throws InvalidVolume.NotFound, IncorrectState, IncorrectModificationState, OperationNotPermitted, and what inputs may not say
 */
export const modifyVolume = (services: Ec2Services): Operation<typeof ModifyVolumeCommand> => ({
  resources: async ({ VolumeId }, call) => [await askFor(services, call, ['volume', VolumeId])],
  async handle(input, call) {
    const scope = scopeOf(call);
    const startedAtMs = services.clock.wallMs();
    demandBuilt(input, ['Iops', 'Size', 'Throughput', 'VolumeId', 'VolumeType']);
    const facts = await findVolume(services, scope, input.VolumeId);
    demandState(facts, ['available', 'in-use']);
    await changeVolume(services, scope, {
      facts,
      change(found) {
        const { sizeGiB, type, modification } = found;
        if (found.deleting) throw ec2Failures.state(`Volume '${found.id}' is in the 'deleting' state.`);
        if (modification && modification.endedAtMs === undefined)
          throw ec2Failures.modificationState(
            `Volume ${found.id} is currently in 'modifying' state: wait until that is completed.`,
          );
        const target = targetOf(found, input);
        return { ...found, ...target, modification: { original: { sizeGiB, type }, target, startedAtMs } };
      },
    });
    const now = await settled(services, scope, facts.volume);
    if (!now) throw ec2Failures.notFound('volume', [facts.volume.id]);
    const VolumeModification = modificationShape(now);
    return VolumeModification ? { VolumeModification } : {};
  },
});

function targetOf({ sizeGiB, type }: VolumeRecord, input: Input): Pick<VolumeRecord, 'sizeGiB' | 'type'> {
  const { Size = sizeGiB } = input;
  const kind = checkedKind(input, type);
  if (Size < sizeGiB)
    throw ec2Failures.parameter(
      `New size cannot be smaller than existing size: the volume has ${sizeGiB} GiB, and ${Size} GiB were asked for.`,
    );
  return { sizeGiB: checkedSize(Size, kind), type: kind };
}
