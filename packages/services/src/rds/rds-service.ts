/** RDS as the gateway serves it. The SDK's module is loaded when it is first called. */
import { defineService, lazyService, type RegisteredService } from '@rokka/gateway';
import { loadRdsHandlers } from '../handlers.ts';
import type { RdsContext } from './rds-context.ts';

export function rdsService(context: RdsContext): RegisteredService {
  return lazyService({
    signingName: 'rds',
    load: async () => {
      const sdk = await import('@aws-sdk/client-rds');
      return defineService({ sdk, client: sdk.RDSClient, operations: await loadRdsHandlers(context) });
    },
  });
}
