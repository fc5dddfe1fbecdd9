/**
 * The first start: an account for the cluster, and a user who may do everything, with one key.
 *
 * All of it is decided by the first write, which holds the ids and the secret, so that a start that was cut short is
 * carried on by the next one with the same key. The last write says that it is done and takes the secret out: from then on
 * nothing here makes anything again, whatever becomes of that user.
 */
import type { Clock, Random } from '@rokka/kernel';
import type { Registry } from '@rokka/registry';
import { makePointer } from './access-key-pointers.ts';
import { ADMINISTRATOR_ACCESS, BUILT_IN_POLICIES } from './built-in-policies.ts';
import { ACCOUNT_KEY, type AccessKeyDocument, entityKey, type UserDocument } from './documents.ts';
import { entityArn } from './iam-arns.ts';
import { IdentityStore } from './identity-store.ts';
import { accessKeyId, accountId, secretKey, uniqueId } from './unique-ids.ts';

const ADMINISTRATOR = 'administrator';

interface AccountDocument {
  readonly account: string;
  readonly createdAtMs: number;
  readonly administrator: { readonly name: string; readonly id: string; readonly accessKeyId: string };
  /** Until the administrator is made. */
  readonly secret?: string;
}

export interface Administrator {
  readonly arn: string;
  readonly userName: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface EnsuredAccount {
  /** Twelve digits. */
  readonly account: string;
  /** Undefined where the user or the key that the first start made is gone, or does not count any more. */
  readonly administrator: Administrator | undefined;
}

export interface EnsureAdministratorOptions {
  registry: Registry;
  clock: Clock;
  /** Makes the secret: `systemRandom` outside tests. */
  random: Random;
}

/**
 * May be called by several at once, and at every start. Nobody may be served before it has answered: a start that still
 * carries out the decision would make the administrator again that somebody has deleted meanwhile.
 * @throws errors of the registry, IDENTITY_BUSY
 */
export async function ensureAdministrator(options: EnsureAdministratorOptions): Promise<EnsuredAccount> {
  const decided = await decide(options);
  const { account, administrator } = decided;
  const store = new IdentityStore({ ...options, account });
  if (decided.secret !== undefined) {
    await makeUser(store, decided, decided.secret);
    await makePointer(store, administrator.accessKeyId, administrator.name);
    await store.update<AccountDocument, AccountDocument>(ACCOUNT_KEY, (found) =>
      withoutSecret(found ?? decided),
    );
  }
  const user = (await store.fresh<UserDocument>(entityKey(account, 'users', administrator.name)))?.value;
  const key = user?.accessKeys.find(({ id, active }) => id === administrator.accessKeyId && active);
  return { account, administrator: user && key && shown(account, user, key) };
}

async function decide({ registry, clock, random }: EnsureAdministratorOptions): Promise<AccountDocument> {
  const fresh: AccountDocument = {
    account: accountId(random),
    createdAtMs: clock.wallMs(),
    administrator: {
      name: ADMINISTRATOR,
      id: uniqueId(random, 'AIDA'),
      accessKeyId: accessKeyId(random, 'AKIA'),
    },
    secret: secretKey(random),
  };
  const store = new IdentityStore({ registry, clock, account: fresh.account });
  return store.update<AccountDocument, AccountDocument>(ACCOUNT_KEY, (found) => found ?? fresh);
}

/** A user of that name is the one that was decided: nobody else can make any before. */
async function makeUser(store: IdentityStore, of: AccountDocument, secret: string): Promise<void> {
  const { name, id, accessKeyId: keyId } = of.administrator;
  const user: UserDocument = {
    name,
    id,
    path: '/',
    createdAtMs: of.createdAtMs,
    tags: [],
    attached: [{ arn: ADMINISTRATOR_ACCESS, id: BUILT_IN_POLICIES.get(ADMINISTRATOR_ACCESS)?.id ?? '' }],
    inline: [],
    accessKeys: [{ id: keyId, secret, active: true, createdAtMs: of.createdAtMs }],
    groups: [],
  };
  await store.update<UserDocument, UserDocument>(
    entityKey(of.account, 'users', name),
    (found) => found ?? user,
  );
}

const withoutSecret = ({ account, createdAtMs, administrator }: AccountDocument): AccountDocument => ({
  account,
  createdAtMs,
  administrator,
});

const shown = (account: string, user: UserDocument, key: AccessKeyDocument): Administrator => ({
  arn: entityArn(account, 'users', user),
  userName: user.name,
  accessKeyId: key.id,
  secretAccessKey: key.secret,
});
