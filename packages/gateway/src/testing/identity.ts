/** Keys, policies and an audit in memory, for tests of the gateway. */
import type {
  Audit,
  AuditRecord,
  AuthorizationRequest,
  Authorizer,
  Credential,
  Credentials,
  Decision,
  UsedSignature,
} from '../identity.ts';
import type { CallContext } from '../operation.ts';

export const ACCOUNT = '123456789012';

export const ALICE: Credential = {
  accessKeyId: 'AKIAALICE00000000000',
  secretAccessKey: 'alice/secret+key',
  principal: {
    account: ACCOUNT,
    arn: `arn:aws:iam::${ACCOUNT}:user/team/alice`,
    userId: 'AIDAALICE',
    kind: 'user',
  },
};

/** Of ALICE's, at no particular time. */
export const CALL: CallContext = {
  requestId: 'id',
  account: ACCOUNT,
  region: 'eu-north-1',
  principal: ALICE.principal,
  accessKeyId: ALICE.accessKeyId,
  credential: ALICE,
  sourceAddress: '192.0.2.7',
  userAgent: 'aws-cli/2',
  atMs: 0,
  signal: new AbortController().signal,
};

export const SESSION: Credential = {
  accessKeyId: 'ASIASESSION000000000',
  secretAccessKey: 'session secret',
  sessionToken: 'token/of+the=session',
  expiresAtMs: 4_000_000_000_000,
  principal: {
    account: ACCOUNT,
    arn: `arn:aws:sts::${ACCOUNT}:assumed-role/deployer/night`,
    userId: 'AROADEPLOYER:night',
    kind: 'assumed-role',
  },
};

export function credentialsOf(...known: Credential[]): Credentials {
  return { find: async (accessKeyId) => known.find((credential) => credential.accessKeyId === accessKeyId) };
}

/** Allows everything but what `deny` names, and keeps what it was asked. */
export class TestAuthorizer implements Authorizer {
  readonly asked: AuthorizationRequest[] = [];
  readonly deny = new Map<string, Decision>();

  async decide(request: AuthorizationRequest): Promise<Decision> {
    this.asked.push(request);
    return this.deny.get(request.action) ?? this.deny.get(request.resource) ?? 'allowed';
  }
}

export class TestAudit implements Audit {
  readonly records: AuditRecord[] = [];
  fails: (() => Promise<void>) | undefined;

  async record(record: AuditRecord): Promise<void> {
    await this.fails?.();
    this.records.push(record);
  }

  usedSignatures(nowMs: number): UsedSignature[] {
    return this.records.flatMap(({ used }) => used ?? []).filter(({ goodUntilMs }) => goodUntilMs >= nowMs);
  }
}
