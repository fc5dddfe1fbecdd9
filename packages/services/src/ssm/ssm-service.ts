/** SSM as the gateway serves it. The SDK's module is loaded when it is first called. */
import { defineService, lazyService, type RegisteredService } from '@rokka/gateway';
import { loadSsmHandlers } from '../handlers.ts';
import type { SsmContext } from './ssm-context.ts';

export function ssmService(context: SsmContext): RegisteredService {
  return lazyService({
    signingName: 'ssm',
    load: async () => {
      const sdk = await import('@aws-sdk/client-ssm');
      return defineService({ sdk, client: sdk.SSMClient, operations: await loadSsmHandlers(context) });
    },
  });
}
