/**
 * What a service gives for each of its operations: a function with the official input and output types, read off the SDK's
 * command class, and beside it what the gateway must know before it may call it.
 *
 * @example
 * export const createDBCluster = (state: State): Operation<typeof CreateDBClusterCommand> => ({
 *   resources: (input, { region, account }) => [`arn:aws:rds:${region}:${account}:cluster:${input.DBClusterIdentifier}`],
 *   async handle(input, context) { … return { DBCluster }; },
 * });
 */
import type { CommandIO } from '@smithy/types';
import type { Credential, Principal } from './identity.ts';

/** What a handler knows of the call beside its input. */
export interface CallContext {
  readonly requestId: string;
  /** Of the principal: twelve digits. All state is keyed by account and region. */
  readonly account: string;
  /** Of the signature's scope. */
  readonly region: string;
  readonly principal: Principal;
  readonly accessKeyId: string;
  /** With which the request was signed. Its secret is for whoever keeps users, and for nobody else. */
  readonly credential: Credential;
  readonly sourceAddress: string;
  readonly userAgent: string;
  /** Wall time of the call's arrival. */
  readonly atMs: number;
  /** Aborted when nobody waits for the answer any more: the call's deadline has passed, or the gateway closes. */
  readonly signal: AbortSignal;
}

type AnyCommand = abstract new (...args: never[]) => unknown;

/** Required members are told apart by the gateway; the SDK's types leave them `undefined` all the same. */
export type InputOf<C extends AnyCommand> =
  InstanceType<C> extends CommandIO<infer I extends object, infer _O> ? I : never;
export type OutputOf<C extends AnyCommand> =
  InstanceType<C> extends CommandIO<infer _I extends object, infer O> ? Omit<O, '$metadata'> : never;

export type Handle<C extends AnyCommand> = (
  input: InputOf<C>,
  context: CallContext,
) => Promise<OutputOf<C>> | OutputOf<C>;

/** One thing that the caller must be allowed: where more is to be said than the ARN. */
export interface ResourceAsk {
  readonly arn: string;
  /** `ec2:CreateTags`; the operation's own action unless given. */
  readonly action?: string;
  /** Actions that allow it as well; a denial of any of them denies it. */
  readonly alternatives?: readonly string[];
  /** Type of what is made (`snapshot`): where an input has tags for several, it has those of this one alone. */
  readonly tagged?: string;
  /** Condition keys of this resource, such as `aws:ResourceTag/team`. */
  readonly conditions?: Readonly<Record<string, string | readonly string[]>>;
}

export interface OperationEntry<C extends AnyCommand> {
  handle: Handle<C>;
  /**
   * What the caller must be allowed to act on, each of them by its ARN; `*` where the action knows no resources, which is the
   * default. An empty list says that anybody with a valid signature may call (`sts:GetCallerIdentity`).
   */
  resources?(
    input: InputOf<C>,
    context: CallContext,
  ): readonly (string | ResourceAsk)[] | Promise<readonly (string | ResourceAsk)[]>;
  /** Whether it changes nothing. Default: by its name, `Describe…`, `Get…`, `List…` and the like. */
  readonly readOnly?: boolean;
  /** Condition keys of the service, such as `rds:DatabaseEngine`. */
  conditions?(input: InputOf<C>, context: CallContext): Record<string, string | readonly string[]>;
}

export type Operation<C extends AnyCommand> = Handle<C> | OperationEntry<C>;

/** Operations of an SDK module by their names: one for each `XxxCommand` class, none of them a must. */
export type Operations<M> = {
  [K in keyof M as K extends `${infer Name}Command` ? Name : never]?: M[K] extends AnyCommand
    ? Operation<M[K]>
    : never;
};

/** An operation without its types, as the gateway calls it. */
export interface AnyOperation {
  handle(input: unknown, context: CallContext): unknown;
  resources(
    input: unknown,
    context: CallContext,
  ): readonly (string | ResourceAsk)[] | Promise<readonly (string | ResourceAsk)[]>;
  conditions(input: unknown, context: CallContext): Record<string, string | readonly string[]>;
  readonly readOnly: boolean;
}

const ANY_RESOURCE = ['*'] as const;

export function untyped(name: string, operation: unknown): AnyOperation {
  const entry = (
    typeof operation === 'function' ? { handle: operation } : operation
  ) as Partial<AnyOperation> & Pick<AnyOperation, 'handle'>;
  return {
    handle: (input, context) => entry.handle(input, context),
    resources: (input, context) => entry.resources?.(input, context) ?? ANY_RESOURCE,
    conditions: (input, context) => entry.conditions?.(input, context) ?? {},
    readOnly: entry.readOnly ?? isReadOnlyName(name),
  };
}

/**
 * By the habits of AWS's names. What gives out a new secret (`GetSessionToken`) is none: said again by somebody else it
 * would give him one too.
 */
export function isReadOnlyName(name: string): boolean {
  if (/^Get\w*(Token|Credentials|Password)$/.test(name)) return false;
  return /^(Describe|Get|List|Lookup|Head|Search|Simulate|Validate|Check)([A-Z]|$)/.test(name);
}
