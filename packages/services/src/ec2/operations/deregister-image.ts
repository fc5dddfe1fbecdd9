import type { DeregisterImageCommand } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Ec2Services } from '../ec2-context.ts';
import { ec2Failures } from '../ec2-failures.ts';
import { demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { findImage } from '../ec2-lookup.ts';
import { askFor } from '../ec2-permissions.ts';
import { removeImage } from '../image-making.ts';

/** Its snapshots stay, and may be deleted from then on. @throws InvalidAMIID.NotFound */
export const deregisterImage = (services: Ec2Services): Operation<typeof DeregisterImageCommand> => ({
  resources: async ({ ImageId }, call) => [await askFor(services, call, ['image', ImageId])],
  async handle(input, call) {
    const scope = scopeOf(call);
    demandBuilt(input, ['ImageId']);
    const facts = await findImage(services, scope, input.ImageId);
    if (!(await removeImage(services, scope, facts))) throw ec2Failures.notFound('image', [facts.record.id]);
    return { Return: true };
  },
});
