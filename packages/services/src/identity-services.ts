/** IAM, STS and CloudTrail as the gateway serves them: their tables of operations, and what each call is about. */
import { defineService, type Operations, type RegisteredService, lazyService } from '@rokka/gateway';
import type { CallContext as GatewayCall, ResourceAsk } from '@rokka/gateway';
import type { Clock } from '@rokka/kernel';
import type { CallContext } from './call-context.ts';
import type { Trail } from './cloudtrail/trail.ts';
import { loadCloudTrailHandlers, loadIamHandlers, loadStsHandlers } from './handlers.ts';
import type { IdentityServices } from './iam/iam-context.ts';
import { iamAsks } from './iam/iam-requests.ts';

export interface ServedIdentity extends IdentityServices {
  readonly trail: Trail;
  readonly clock: Clock;
}

type Input = Readonly<Record<string, unknown>>;
type Handler = (input: never, call: CallContext) => Promise<unknown>;

/** What a call is about: what whoever makes it must be allowed. */
type Subject = (name: string, input: Input, call: GatewayCall) => Promise<readonly ResourceAsk[]>;

/** Their SDK modules are loaded when they are first called. */
export function identityServices(of: ServedIdentity): RegisteredService[] {
  const { store, clock } = of;
  const aboutIam: Subject = (operation, input, { credential }) =>
    iamAsks({ store, credential, wallMs: clock.wallMs(), operation, input });
  // Which of them may be called the operation itself decides, or nobody is kept from it (identity-authorizer.ts).
  const aboutSts: Subject = async (_name, input) => [
    { arn: typeof input['RoleArn'] === 'string' ? input['RoleArn'] : '*' },
  ];
  const aboutTrail: Subject = async () => [{ arn: '*' }];
  return [
    lazyService({
      signingName: 'iam',
      load: async () => {
        const sdk = await import('@aws-sdk/client-iam');
        const operations = bound<typeof sdk>(await loadIamHandlers(of), aboutIam, clock);
        return defineService({
          sdk,
          client: sdk.IAMClient,
          operations,
          missingParameterCode: 'ValidationError',
        });
      },
    }),
    lazyService({
      signingName: 'sts',
      load: async () => {
        const sdk = await import('@aws-sdk/client-sts');
        const operations = bound<typeof sdk>(await loadStsHandlers(of), aboutSts, clock);
        return defineService({
          sdk,
          client: sdk.STSClient,
          operations,
          missingParameterCode: 'ValidationError',
        });
      },
    }),
    lazyService({
      signingName: 'cloudtrail',
      load: async () => {
        const sdk = await import('@aws-sdk/client-cloudtrail');
        const operations = bound<typeof sdk>(await loadCloudTrailHandlers(of), aboutTrail, clock);
        return defineService({ sdk, client: sdk.CloudTrailClient, operations });
      },
    }),
  ];
}

/**
 * A table as `defineService` takes it. That its functions are those of the SDK is checked where they are (handlers.test.ts):
 * what is wrapped here has lost its types.
 */
function bound<M>(table: Readonly<Record<string, Handler>>, about: Subject, clock: Clock): Operations<M> {
  const entries = Object.entries(table).map(([name, handler]) => {
    const entry = {
      handle: (input: Input, call: GatewayCall) => handler(input as never, callOf(call, clock)),
      resources: (input: Input, call: GatewayCall) => about(name, input, call),
    };
    return [name, entry];
  });
  return Object.fromEntries(entries) as Operations<M>;
}

function callOf(
  { requestId, region, credential, sourceAddress, userAgent }: GatewayCall,
  clock: Clock,
): CallContext {
  return {
    requestId,
    region,
    credential,
    clock,
    conditionKeys: { 'aws:SourceIp': sourceAddress, 'aws:UserAgent': userAgent },
  };
}
