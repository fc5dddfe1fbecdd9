/** Who calls, what they may, and what is written down of it: what the gateway asks of whoever keeps users and policies. */

/** Whoever stands behind a key: a user, or a role that somebody has assumed. */
export interface Principal {
  /** Twelve digits. */
  readonly account: string;
  /** `arn:aws:iam::ACCOUNT:user/NAME` or `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`. */
  readonly arn: string;
  /** The unique id: `AIDA…`, or `AROA…:SESSION`. */
  readonly userId: string;
  readonly kind: 'user' | 'assumed-role';
}

/** A key pair as the server knows it. */
export interface Credential {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** The token that a request must carry beside the signature: temporary keys have one. */
  readonly sessionToken?: string;
  /** Wall time after which it counts no more. */
  readonly expiresAtMs?: number;
  readonly principal: Principal;
  /** Policies of the session alone, as JSON: they narrow what the principal may. */
  readonly sessionPolicies?: readonly string[];
}

export interface Credentials {
  /** Undefined for a key that does not exist or is inactive. */
  find(accessKeyId: string): Promise<Credential | undefined>;
}

export interface AuthorizationRequest {
  readonly credential: Credential;
  /** `rds:CreateDBCluster`. */
  readonly action: string;
  /** ARN of the resource, or `*` where the action knows none. */
  readonly resource: string;
  /** Condition keys: `aws:SourceIp`, `aws:RequestedRegion`, `aws:RequestTag/…`. */
  readonly context: Readonly<Record<string, string | readonly string[]>>;
}

export type Decision = 'allowed' | 'implicitDeny' | 'explicitDeny';

export interface Authorizer {
  decide(request: AuthorizationRequest): Promise<Decision>;
}

/** A signature that was let change something, which it does once: `signature/replay-memory.ts`. */
export interface UsedSignature {
  /** Half of the signature, in hexadecimal. */
  readonly key: string;
  readonly firstMs: number;
  /** Wall time after which it is refused anyway. */
  readonly goodUntilMs: number;
}

/** One call, as it is kept: who, what, when, from where, and how it ended. */
export interface AuditRecord {
  readonly requestId: string;
  readonly atMs: number;
  /** `rds.amazonaws.com`. */
  readonly eventSource: string;
  /** `CreateDBCluster`. */
  readonly eventName: string;
  readonly region: string;
  readonly sourceAddress: string;
  readonly userAgent: string;
  /** Undefined where the signature did not say who it was. */
  readonly principal: Principal | undefined;
  readonly accessKeyId: string | undefined;
  /** Whether it changes nothing. */
  readonly readOnly: boolean;
  /** Undefined where it succeeded. */
  readonly errorCode: string | undefined;
  readonly errorMessage: string | undefined;
  /** The input, without secrets and cut to a bound. */
  readonly request: unknown;
  /** Of a call that was let change something for the first time. */
  readonly used?: UsedSignature | undefined;
}

export interface Audit {
  /** Durable when it resolves. */
  record(record: AuditRecord): Promise<void>;
  /** Those of all records, as long as they are good: also of processes before this one. */
  usedSignatures(nowMs: number): readonly UsedSignature[];
}
