import type { DetachVolumeCommand } from '@aws-sdk/client-ec2';
import type { InputOf, Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { ec2Failures } from '../ec2-failures.ts';
import { checkedId, demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { findVolume } from '../ec2-lookup.ts';
import { askFor } from '../ec2-permissions.ts';
import type { Attachment, Detaching, VolumeRecord } from '../ec2-records.ts';
import { attachmentShape } from '../volume-shapes.ts';
import { changeVolume, settled } from '../volume-changes.ts';

type Input = InputOf<typeof DetachVolumeCommand>;

/**
 * Its files are no more to be seen when it is `available` again. One that is being detached already may be told so again, and then by
 * force: nobody waits for its machine, and whoever writes there is fenced before it is `available`.
 * @throws InvalidVolume.NotFound, IncorrectState, InvalidAttachment.NotFound, OperationNotPermitted, UnsupportedOperation
 */
export const detachVolume = (services: Ec2Services): Operation<typeof DetachVolumeCommand> => ({
  async resources({ VolumeId, InstanceId }, call) {
    const volume = await askFor(services, call, ['volume', VolumeId]);
    return InstanceId ? [await askFor(services, call, ['instance', InstanceId]), volume] : [volume];
  },
  async handle(input, call) {
    const scope = scopeOf(call);
    const sinceMs = services.clock.wallMs();
    demandBuilt(input, ['Device', 'Force', 'InstanceId', 'VolumeId']);
    const facts = await findVolume(services, scope, input.VolumeId);
    let ended = facts;
    await changeVolume(services, scope, {
      facts,
      change(found) {
        const attachment = demandAttached(found, input);
        const before = attachment.detaching;
        const detaching: Detaching = { sinceMs, ...before, ...(input.Force === true && { force: true }) };
        const volume = { ...found, attachment: { ...attachment, detaching } };
        ended = { ...facts, volume };
        return before?.force === detaching.force && before ? found : volume;
      },
    });
    const now = await settled(services, scope, facts.volume);
    if (now && now.volume.attachment?.id === ended.volume.attachment?.id) return attachmentShape(now) ?? {};
    return { ...attachmentShape(ended), State: 'detached' };
  },
});

function demandAttached({ id, attachment }: VolumeRecord, { InstanceId, Device }: Input): Attachment {
  if (!attachment) throw ec2Failures.state(`Volume '${id}' is in the 'available' state.`);
  const isOther =
    (InstanceId && checkedId('instance', InstanceId) !== attachment.instance) ||
    (Device && Device !== attachment.device);
  if (isOther)
    throw ec2Failures.noAttachment(
      `Volume '${id}' is not attached to instance '${InstanceId ?? attachment.instance}' as device '${Device ?? attachment.device}'.`,
    );
  return attachment;
}
