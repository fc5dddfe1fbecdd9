/**
 * The cluster's join tokens: issued, redeemed once, revoked, listed. A token serves one key: whoever redeemed it and
 * lost the answer may ask again with the same key until it expires, everybody else is refused.
 */
import { verify } from 'node:crypto';
import { assert, systemRandom, type Clock, type Random } from '@rokka/kernel';
import {
  identityUri,
  isIdentityPart,
  parseTlsAddress,
  type MemberIdentity,
  type Role,
  shownTime,
} from '@rokka/transport';
import { keyPin, type CertificateRequest } from './certificates.ts';
import { trustErrors } from './errors.ts';
import { encodeJoinToken, secretVerifier, verifierKey } from './join-token.ts';
import type { StoredToken, TokenRecord, TokenStore } from './token-store.ts';

const HOUR_MS = 3_600_000;
const OPEN_MAX = 1000;
/** Writers that meet take turns; who is refused so often meets something else. */
const ATTEMPTS_MAX = 5;

export interface JoinTokensOptions {
  store: TokenStore;
  clock: Clock;
  random?: Random;
  /** Whether there is such a member already: only a token that names it lets anybody be it once more. */
  isMember?: (member: MemberIdentity) => Promise<boolean>;
}

export interface IssueTokenOptions {
  authority: { readonly cluster: string; readonly pins: readonly string[] };
  /** Where machines join, `host:port`; the first that answers is taken. */
  addresses: readonly string[];
  role: Role;
  zone?: string;
  /** The only id that may join with it. */
  memberId?: string;
  /** Default one hour, at most 30 days. */
  lifetimeMs?: number;
}

/** What somebody shows who wants to join. */
export interface Redemption {
  tokenId: string;
  request: CertificateRequest;
  /** The zone that the machine was told it is in; empty where it was told none. */
  zone: string;
  /** Signature, by the token's secret, of `proven`. */
  proof: Uint8Array;
  proven: Uint8Array;
}

export class JoinTokens {
  readonly #store: TokenStore;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #isMember: (member: MemberIdentity) => Promise<boolean>;

  constructor(options: JoinTokensOptions) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#random = options.random ?? systemRandom;
    this.#isMember = options.isMember ?? (async () => false);
  }

  /**
   * The text of a new token, which is shown once and kept nowhere.
   *
   * @throws TRUST_BAD_NAME, TRANSPORT_BAD_ADDRESS, TRUST_TOKENS_FULL
   */
  async issue(options: IssueTokenOptions): Promise<{ token: string; record: TokenRecord }> {
    const { authority, addresses, role, zone = '', memberId, lifetimeMs = HOUR_MS } = options;
    assert(lifetimeMs > 0 && lifetimeMs <= 30 * 24 * HOUR_MS, 'lifetime of a token');
    assert(addresses.length > 0 && addresses.length <= 8, 'addresses of a token');
    for (const address of addresses) parseTlsAddress(address);
    if (zone !== '' && !isIdentityPart(zone)) throw trustErrors.TRUST_BAD_NAME(['zone', zone]);
    if (memberId !== undefined && !isIdentityPart(memberId))
      throw trustErrors.TRUST_BAD_NAME(['id of a member', memberId]);
    await this.prune();
    if ((await this.#store.list()).length >= OPEN_MAX) throw trustErrors.TRUST_TOKENS_FULL([OPEN_MAX]);
    const [tokenId, secret] = [this.#random.hex(8), this.#random.hex(32)];
    const expiresAtMs = this.#clock.wallMs() + lifetimeMs;
    const { cluster, pins } = authority;
    const token = { cluster, role, zone, memberId, addresses, pins, tokenId, secret, expiresAtMs };
    const record: TokenRecord = {
      tokenId,
      verifier: secretVerifier(secret),
      role,
      zone,
      ...(memberId === undefined ? {} : { memberId }),
      expiresAtMs,
      revoked: false,
    };
    assert(await this.#store.put(record, 0), 'a token id is new');
    return { token: encodeJoinToken(token), record };
  }

  /**
   * Takes the token for the key of the request. Who does not prove the secret learns nothing of the token.
   *
   * @throws TRUST_TOKEN_UNKNOWN, _REVOKED, _EXPIRED, _OTHER, _USED, _CONTENDED
   */
  async redeem(redemption: Redemption): Promise<TokenRecord> {
    const { tokenId, request } = redemption;
    const { identity } = request;
    const usedBy = { id: identity.id, keyPin: keyPin(request.publicKey), atMs: this.#clock.wallMs() };
    const taken = await this.#isMember(identity);
    return this.#change(tokenId, (record) => {
      this.#check(record, redemption);
      if (record.usedBy && (record.usedBy.keyPin !== usedBy.keyPin || record.usedBy.id !== usedBy.id))
        throw trustErrors.TRUST_TOKEN_USED([tokenId, record.usedBy.id]);
      if (record.usedBy) return record;
      if (taken && record.memberId !== identity.id)
        throw trustErrors.TRUST_TOKEN_OTHER([tokenId, `${identityUri(identity)} again`, allowedBy(record)]);
      return { ...record, usedBy };
    });
  }

  /** From then on nobody joins with it. @throws TRUST_TOKEN_UNKNOWN, TRUST_TOKEN_CONTENDED */
  async revoke(tokenId: string): Promise<TokenRecord> {
    return this.#change(tokenId, (record) => ({ ...record, revoked: true }));
  }

  /** All that have not expired, used ones among them. */
  async list(): Promise<TokenRecord[]> {
    const nowMs = this.#clock.wallMs();
    return (await this.#store.list())
      .map(({ record }) => record)
      .filter((record) => record.expiresAtMs > nowMs);
  }

  /** Forgets what expired a day ago: until then its users hear why it does not work. */
  async prune(): Promise<void> {
    const beforeMs = this.#clock.wallMs() - 24 * HOUR_MS;
    for (const { record, revision } of await this.#store.list())
      if (record.expiresAtMs < beforeMs) await this.#store.remove(record.tokenId, revision);
  }

  #check(record: TokenRecord, { request, proof, proven, zone }: Redemption): void {
    const { tokenId } = record;
    if (!verify(null, proven, verifierKey(record.verifier), proof))
      throw trustErrors.TRUST_TOKEN_UNKNOWN([tokenId]);
    if (record.revoked) throw trustErrors.TRUST_TOKEN_REVOKED([tokenId]);
    if (record.expiresAtMs <= this.#clock.wallMs())
      throw trustErrors.TRUST_TOKEN_EXPIRED([tokenId, shownTime(record.expiresAtMs)]);
    const { identity } = request;
    const fits =
      identity.role === record.role &&
      (record.memberId === undefined || identity.id === record.memberId) &&
      (zone === '' || zone === record.zone);
    if (!fits) throw trustErrors.TRUST_TOKEN_OTHER([tokenId, shown(identity, zone), allowedBy(record)]);
  }

  /** Reads, decides and writes, again where somebody else wrote meanwhile. */
  async #change(tokenId: string, decide: (record: TokenRecord) => TokenRecord): Promise<TokenRecord> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const stored: StoredToken | undefined = await this.#store.get(tokenId);
      if (!stored) throw trustErrors.TRUST_TOKEN_UNKNOWN([tokenId]);
      const changed = decide(stored.record);
      if (changed === stored.record || (await this.#store.put(changed, stored.revision))) return changed;
    }
    throw trustErrors.TRUST_TOKEN_CONTENDED([tokenId]);
  }
}

const shown = (identity: MemberIdentity, zone: string) =>
  zone === '' ? identityUri(identity) : `${identityUri(identity)} in zone ${zone}`;

const allowedBy = ({ role, memberId, zone }: TokenRecord) =>
  `${memberId === undefined ? `a ${role}` : `${role} ${memberId}`}${zone === '' ? '' : ` in zone ${zone}`}`;
