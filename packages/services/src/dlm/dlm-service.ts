/** Data Lifecycle Manager as the gateway serves it. The SDK's module is loaded when it is first called. */
import { defineService, lazyService, type RegisteredService } from '@rokka/gateway';
import { loadDlmHandlers } from '../handlers.ts';
import type { DlmContext } from './dlm-context.ts';

export function dlmService(context: DlmContext): RegisteredService {
  return lazyService({
    signingName: 'dlm',
    load: async () => {
      const sdk = await import('@aws-sdk/client-dlm');
      return defineService({ sdk, client: sdk.DLMClient, operations: await loadDlmHandlers(context) });
    },
  });
}
