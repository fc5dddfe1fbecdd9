import type { AttachVolumeCommand } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import { deviceKey, liveClaim } from '../claims.ts';
import type { Ec2Services } from '../ec2-context.ts';
import { ec2Failures } from '../ec2-failures.ts';
import { newAttachmentId } from '../ec2-ids.ts';
import { checkedDevice, demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { findVolume } from '../ec2-lookup.ts';
import { askFor } from '../ec2-permissions.ts';
import type { Attachment } from '../ec2-records.ts';
import { attachmentShape } from '../volume-shapes.ts';
import { findInstance } from '../instances.ts';
import { changeVolume, demandState, settled } from '../volume-changes.ts';

/**
 * Its files are to be seen in the directory of the device's name from `attached` on.
 * @throws InvalidVolume.NotFound, InvalidInstanceID.NotFound, VolumeInUse, IncorrectState, OperationNotPermitted,
 * UnsupportedOperation, InvalidParameterValue for a device that is taken or is none
 */
export const attachVolume = (services: Ec2Services): Operation<typeof AttachVolumeCommand> => ({
  resources: ({ VolumeId, InstanceId }, call) =>
    Promise.all([
      askFor(services, call, ['instance', InstanceId]),
      askFor(services, call, ['volume', VolumeId]),
    ]),
  async handle(input, call) {
    const scope = scopeOf(call);
    const { clock, random, store } = services;
    demandBuilt(input, ['Device', 'InstanceId', 'VolumeId']);
    const { device, mount } = checkedDevice(input.Device);
    const instance = await findInstance(services, scope, input.InstanceId);
    const facts = await findVolume(services, scope, input.VolumeId);
    const taken = () =>
      ec2Failures.parameter(
        `Invalid value '${device}' for unixDevice. Attachment point ${device} is already in use`,
      );
    const { isFirst, key } = instance.machine;
    const attachment: Attachment = {
      id: newAttachmentId(random),
      instance: instance.id,
      device,
      mount,
      ...(!isFirst && { machine: key }),
      sinceMs: clock.wallMs(),
    };
    const { volume } = facts;
    if (volume.attachment) throw inUse(volume.id);
    demandState(facts, ['available']);
    if (await liveClaim(store, deviceKey(attachment))) throw taken();
    await changeVolume(services, scope, {
      facts,
      change(found) {
        if (found.attachment) throw inUse(found.id);
        if (found.deleting) throw ec2Failures.state(`Volume '${found.id}' is in the 'deleting' state.`);
        return { ...found, attachment };
      },
    });
    const now = await settled(services, scope, volume);
    if (!now) throw ec2Failures.notFound('volume', [volume.id]);
    // Where it was not let in, another one has the device.
    if (now.volume.attachment?.id !== attachment.id) throw taken();
    return attachmentShape(now) ?? {};
  },
});

const inUse = (id: string) => ec2Failures.volumeInUse(`${id} is already attached to an instance`);
