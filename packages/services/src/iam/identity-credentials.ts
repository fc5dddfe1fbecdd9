/** Keys as the gateway asks for them: those of users, and temporary ones. */
import type { Credential, Credentials } from '@rokka/gateway';
import type { Clock } from '@rokka/kernel';
import {
  type AccessKeyPointer,
  accessKeyPointerKey,
  entityKey,
  type HolderDocument,
  type SessionDocument,
  type UserDocument,
} from './documents.ts';
import { assumedRoleArn, entityArn } from './iam-arns.ts';
import { findSession } from './find-session.ts';
import type { IdentityStore } from './identity-store.ts';

export class IdentityCredentials implements Credentials {
  readonly #store: IdentityStore;
  readonly #clock: Clock;

  constructor(options: { store: IdentityStore; clock: Clock }) {
    this.#store = options.store;
    this.#clock = options.clock;
  }

  async find(accessKeyId: string): Promise<Credential | undefined> {
    if (/^AKIA[A-Z2-7]{16}$/.test(accessKeyId)) return this.#findKey(accessKeyId);
    if (/^ASIA[A-Z2-7]{16}$/.test(accessKeyId)) return this.#findSession(accessKeyId);
    return undefined;
  }

  async #findKey(accessKeyId: string): Promise<Credential | undefined> {
    const pointer = await this.#store.read<AccessKeyPointer>(accessKeyPointerKey(accessKeyId));
    if (pointer?.account !== this.#store.account) return undefined;
    const { account, userName } = pointer;
    const user = await this.#store.read<UserDocument>(entityKey(account, 'users', userName));
    const key = user?.accessKeys.find(({ id, active }) => id === accessKeyId && active);
    if (!user || !key) return undefined;
    return {
      accessKeyId,
      secretAccessKey: key.secret,
      principal: { account, arn: entityArn(account, 'users', user), userId: user.id, kind: 'user' },
    };
  }

  /** A session ends with its time, and with the user or the role that it is of. */
  async #findSession(accessKeyId: string): Promise<Credential | undefined> {
    const session = await findSession(this.#store, accessKeyId);
    if (session?.account !== this.#store.account || session.expiresAtMs <= this.#clock.wallMs())
      return undefined;
    const { account, of } = session;
    const holder = await this.#store.read<HolderDocument>(entityKey(account, of.kind, of.name));
    if (holder?.id !== of.id) return undefined;
    return {
      accessKeyId,
      secretAccessKey: session.secret,
      sessionToken: session.token,
      expiresAtMs: session.expiresAtMs,
      principal: principalOf(session, holder),
      ...(session.policies && { sessionPolicies: session.policies }),
    };
  }
}

function principalOf(
  { account, sessionName }: SessionDocument,
  holder: HolderDocument,
): Credential['principal'] {
  if (sessionName === undefined)
    return { account, arn: entityArn(account, 'users', holder), userId: holder.id, kind: 'user' };
  return {
    account,
    arn: assumedRoleArn(account, holder.name, sessionName),
    userId: `${holder.id}:${sessionName}`,
    kind: 'assumed-role',
  };
}
