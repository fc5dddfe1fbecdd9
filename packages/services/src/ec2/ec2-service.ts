/** EC2 as the gateway serves it. The SDK's module is loaded when it is first called. */
import { defineService, lazyService, type RegisteredService } from '@rokka/gateway';
import { loadEc2Handlers } from '../handlers.ts';
import type { Ec2Context } from './ec2-context.ts';

export function ec2Service(context: Ec2Context): RegisteredService {
  return lazyService({
    signingName: 'ec2',
    protocol: 'aws.protocols#ec2Query',
    load: async () => {
      const sdk = await import('@aws-sdk/client-ec2');
      return defineService({ sdk, client: sdk.EC2Client, operations: await loadEc2Handlers(context) });
    },
  });
}
