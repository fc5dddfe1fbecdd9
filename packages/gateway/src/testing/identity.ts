/** Keys, policies and an audit in memory, for tests of the gateway. */
import type {
  Audit,
  AuditRecord,
  AuthorizationRequest,
  Authorizer,
  Credential,
  Credentials,
  Decision,
} from '../identity.ts';

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
}
