/**
 * What the registry holds of users, roles and policies, and under which keys.
 *
 *     identity/account                             the cluster's account number
 *     identity/access-keys/AKIA…                   whose key it is
 *     identity/sessions/XYZ                        a temporary key, by its last three letters
 *     accounts/ACCOUNT/iam/users/NAME              a user with its access keys, policies, groups
 *     accounts/ACCOUNT/iam/{groups,roles,policies,instance-profiles}/NAME
 *
 * Whatever must change together stands in one document, so that one compare-and-set changes it: who has which policies,
 * how many keys, which of them count. NAME is in lower case, because IAM tells no two names apart that differ in case only;
 * the document has it as it was written.
 */

export type HolderKind = 'users' | 'groups' | 'roles';
export type EntityKind = HolderKind | 'policies' | 'instance-profiles';

export interface Tag {
  readonly Key: string;
  readonly Value: string;
}

/** A policy by ARN and unique id: another one that takes its name later is not meant. */
export interface PolicyReference {
  readonly arn: string;
  readonly id: string;
}

export interface InlinePolicy {
  readonly name: string;
  readonly document: string;
}

interface Named {
  readonly name: string;
  /** Unique for all time: `AIDA…`, `AROA…`, `ANPA…`. */
  readonly id: string;
  readonly path: string;
  readonly createdAtMs: number;
  readonly tags: readonly Tag[];
}

/** Whoever policies can be attached to. */
export interface HolderDocument extends Named {
  readonly attached: readonly PolicyReference[];
  readonly inline: readonly InlinePolicy[];
  readonly boundary?: PolicyReference | undefined;
}

export interface AccessKeyDocument {
  readonly id: string;
  readonly secret: string;
  readonly active: boolean;
  readonly createdAtMs: number;
}

export interface UserDocument extends HolderDocument {
  readonly accessKeys: readonly AccessKeyDocument[];
  readonly groups: readonly Member[];
}

/** Something named, as another document speaks of it. */
export interface Member {
  readonly name: string;
  readonly id: string;
}

export type GroupDocument = HolderDocument;

export interface RoleDocument extends HolderDocument {
  readonly trust: string;
  /** The unique id behind each ARN that the trust policy names. */
  readonly trustIds: Readonly<Record<string, string>>;
  readonly description?: string | undefined;
  readonly maxSessionSeconds: number;
}

export interface PolicyVersionDocument {
  readonly id: string;
  readonly document: string;
  readonly createdAtMs: number;
}

export interface PolicyDocument extends Named {
  readonly description?: string | undefined;
  readonly updatedAtMs: number;
  readonly defaultVersionId: string;
  /** Numbers are never used twice. */
  readonly nextVersion: number;
  readonly versions: readonly PolicyVersionDocument[];
}

export interface InstanceProfileDocument extends Named {
  readonly role?: Member | undefined;
}

/** Which user a key belongs to. It counts only if the user has the key. */
export interface AccessKeyPointer {
  readonly account: string;
  readonly userName: string;
}

export interface SessionDocument {
  readonly account: string;
  readonly accessKeyId: string;
  readonly secret: string;
  readonly token: string;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  /** Whose session it is: a role's, or a user's own (GetSessionToken). It ends with the user or the role. */
  readonly of: { readonly kind: 'users' | 'roles'; readonly name: string; readonly id: string };
  /** Of a role only. */
  readonly sessionName?: string;
  readonly policies?: readonly string[];
  readonly tags?: readonly Tag[];
  readonly sourceIdentity?: string | undefined;
}

export const ACCOUNT_KEY = 'identity/account';

export const entityPrefix = (account: string, kind: EntityKind) => `accounts/${account}/iam/${kind}/`;

export const entityKey = (account: string, kind: EntityKind, name: string) =>
  entityPrefix(account, kind) + name.toLowerCase();

export const accessKeyPointerKey = (accessKeyId: string) => `identity/access-keys/${accessKeyId}`;

/** Its place, which another one takes once it has expired. */
export const sessionKey = (accessKeyId: string) => `identity/sessions/${accessKeyId.slice(-3)}`;
