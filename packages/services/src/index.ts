/**
 * The AWS services of Rokka. The tables of handlers stand behind functions that import them when they are first asked
 * for, because the SDK's modules are large.
 */
export * from './arn.ts';
export type { CallContext } from './call-context.ts';
export { servicesErrors } from './errors.ts';
export {
  ensureAdministrator,
  type Administrator,
  type EnsureAdministratorOptions,
  type EnsuredAccount,
} from './iam/administrator.ts';
export { writeAwsProfile, type AwsProfile, type AwsProfileFiles } from './iam/aws-profile.ts';
export type { IamContext, IdentityServices } from './iam/iam-context.ts';
export { DECIDED_BY_OPERATION, IdentityAuthorizer } from './iam/identity-authorizer.ts';
export { IdentityCredentials } from './iam/identity-credentials.ts';
export { IdentityStore, type IdentityStoreOptions } from './iam/identity-store.ts';
export { PolicyCache } from './iam/policy-cache.ts';
export { standingRights } from './iam/standing-rights.ts';
export { openTrail, type Trail, type TrailOptions } from './cloudtrail/trail.ts';
export { type ArchivePoints, type RdsContext } from './rds/rds-context.ts';
export type { DlmContext } from './dlm/dlm-context.ts';
export { DlmKeeper } from './dlm/dlm-keeper.ts';
export { dlmService } from './dlm/dlm-service.ts';
export { BootMirror } from './ec2/boot-mirror.ts';
export type { Ec2Context, Machine } from './ec2/ec2-context.ts';
export {
  instanceCredentials,
  type InstanceCredentials,
  type InstanceCredentialsOf,
  type NoCredentials,
} from './ec2/instance-credentials.ts';
export { Ec2Keeper } from './ec2/ec2-keeper.ts';
export { ec2Service } from './ec2/ec2-service.ts';
export { isReservedOfSnapshots } from './ec2/snapshot-claims.ts';
export { IMAGE_NAME_RULE, imageNamed, type ImageNamed, isImageName } from './ec2/image-names.ts';
export { setOfSnapshot, type SnapshotSetFacts } from './ec2/set-of-snapshot.ts';
export { rdsArn, type ResourceKind } from './rds/rds-arns.ts';
export { RdsKeeper } from './rds/rds-keeper.ts';
export { rdsService } from './rds/rds-service.ts';
export { CommandDesk, type DeliveredDocument, type Delivery, type Ending } from './ssm/command-desk.ts';
export type { AgentFacts } from './ssm/agents.ts';
export type { DocumentStep, Json, JsonObject, ParameterValues } from './ssm/documents/document-model.ts';
export { stepSeconds } from './ssm/documents/execution-time.ts';
export { ec2Instances } from './ssm/ec2-instances.ts';
export type { SsmContext, SsmInstance } from './ssm/ssm-context.ts';
export type { RestoreTest } from './ssm/restore-tests.ts';
export { SsmKeeper } from './ssm/ssm-keeper.ts';
export { ssmService } from './ssm/ssm-service.ts';
export type { StepResult, StepStatus } from './ssm/step-results.ts';
export {
  importHandlers,
  loadCloudTrailHandlers,
  loadDlmHandlers,
  loadEc2Handlers,
  loadIamHandlers,
  loadRdsHandlers,
  loadSsmHandlers,
  loadStsHandlers,
} from './handlers.ts';
export { identityServices, type ServedIdentity } from './identity-services.ts';
