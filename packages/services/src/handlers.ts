/** Tables of operations, loaded when they are first asked for: the SDK's modules behind them are large. */
import type { IdentityServices } from './iam/iam-context.ts';
import type { Ec2Context } from './ec2/ec2-context.ts';
import type { DlmContext } from './dlm/dlm-context.ts';
import type { RdsContext } from './rds/rds-context.ts';
import type { SsmContext } from './ssm/ssm-context.ts';
import type { Trail } from './cloudtrail/trail.ts';

export const loadIamHandlers = async (services: IdentityServices) =>
  (await import('./iam/iam-handlers.ts')).iamHandlers(services);

export const loadStsHandlers = async (services: IdentityServices) =>
  (await import('./sts/sts-handlers.ts')).stsHandlers(services);

export const loadCloudTrailHandlers = async (services: { trail: Trail }) =>
  (await import('./cloudtrail/cloudtrail-handlers.ts')).cloudTrailHandlers(services);

/** For `defineService`: these four are the gateway's own `Operation`s. */
export const loadRdsHandlers = async (context: RdsContext) =>
  (await import('./rds/rds-handlers.ts')).rdsOperations(context);

export const loadEc2Handlers = async (context: Ec2Context) =>
  (await import('./ec2/ec2-handlers.ts')).ec2Operations(context);

export const loadSsmHandlers = async (context: SsmContext) =>
  (await import('./ssm/ssm-handlers.ts')).ssmOperations(context);

export const loadDlmHandlers = async (context: DlmContext) =>
  (await import('./dlm/dlm-handlers.ts')).dlmOperations(context);

/** All of them, and the SDK's modules that they use: for a process that compiles them for others. */
export async function importHandlers(): Promise<void> {
  await Promise.all([
    import('./iam/iam-handlers.ts'),
    import('./sts/sts-handlers.ts'),
    import('./cloudtrail/cloudtrail-handlers.ts'),
    import('./rds/rds-handlers.ts'),
    import('./ec2/ec2-handlers.ts'),
    import('./ssm/ssm-handlers.ts'),
    import('./dlm/dlm-handlers.ts'),
    // Its handlers use types of it alone.
    import('@aws-sdk/client-ec2'),
  ]);
}
