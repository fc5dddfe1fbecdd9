/** The AWS wire: services that are typed and described by the official SDK, behind one port. */
export * from './identity.ts';
export { AwsError } from './failures.ts';
export { DEFAULT_PORT, openGateway, type Gateway, type GatewayOptions } from './gateway.ts';
export { idempotencyMark, judgeRepetition, type IdempotencyMark, type Repetition } from './idempotency.ts';
export { Pages, type PageOf } from './pagination.ts';
export { DEFAULT_LIMITS, type GatewayLimits } from './limits.ts';
export type {
  CallContext,
  Handle,
  InputOf,
  Operation,
  OperationEntry,
  Operations,
  OutputOf,
  ResourceAsk,
} from './operation.ts';
export { decideTogether, sufficientActions, type ActionsAsk } from './sufficient-actions.ts';
export {
  defineService,
  lazyService,
  type LazyService,
  type ProtocolId,
  type RegisteredService,
  type Service,
} from './service.ts';
