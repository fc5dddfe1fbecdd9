/**
 * The cluster's certificate authority: one file, on the machine that lets others join.
 *
 * It can be exchanged without cutting a link, in three steps of `rotate`, each of which waits until every member that
 * lives has done its part, which is to have renewed:
 *   steady     the authority signs, members believe it
 *   announced  a second one exists and signs nothing yet; renewals hand out both, to be believed
 *   switched   the second one signs; the first one's key is gone, its certificates still hold
 *   steady     the first one is forgotten
 * A step is safe one certificate's life after the one before it: whoever has not renewed by then has no valid
 * certificate any more.
 */
import { createPublicKey, X509Certificate } from 'node:crypto';
import { assert, systemRandom, type Clock, type Random } from '@rokka/kernel';
import {
  shownTime,
  identityUri,
  isIdentityPart,
  type MemberIdentity,
  type TlsIdentity,
} from '@rokka/transport';
import { AuthorityFile, type AuthorityState, type Phase } from './authority-file.ts';
import {
  keyPin,
  makeAuthorityCertificate,
  makeKey,
  makeRequest,
  readRequest,
  signCertificate,
  type CertificateRequest,
  type SigningKey,
} from './certificates.ts';
import { trustErrors } from './errors.ts';

const DAY_MS = 86_400_000;
/** Clocks may differ by so much: a member whose clock is behind still believes a certificate that was made just now. */
export const CLOCK_SLACK_MS = 5 * 60_000;
/** An authority must be older, for every clock, than the first certificate it signs. */
const AUTHORITY_BACKDATE_MS = 60 * 60_000;

/** What a member gets: both in PEM. */
export interface Issued {
  readonly certificate: string;
  /** Whom to believe from now on, the one that signs first. */
  readonly authorities: string;
}

export interface MakeAuthorityOptions {
  file: string;
  cluster: string;
  clock: Clock;
  /** Of members' certificates; default 30 days. It stays, for the steps of a rotation are counted by it. */
  lifetimeMs?: number;
  /** Of the authority's own; default 3650 days. */
  authorityLifetimeMs?: number;
  random?: Random;
}

export class ClusterAuthority {
  readonly #file: AuthorityFile;
  readonly #clock: Clock;
  readonly #random: Random;
  #state: AuthorityState;

  private constructor(file: AuthorityFile, options: { state: AuthorityState; clock: Clock; random: Random }) {
    this.#file = file;
    this.#state = options.state;
    this.#clock = options.clock;
    this.#random = options.random;
  }

  /** A new authority, in a file that did not exist. @throws TRUST_BAD_NAME, TRUST_FILE_EXISTS, TRUST_FILE_FAILED */
  static async make(options: MakeAuthorityOptions): Promise<ClusterAuthority> {
    const { cluster, clock, random = systemRandom } = options;
    const { lifetimeMs = 30 * DAY_MS, authorityLifetimeMs = 3650 * DAY_MS } = options;
    assert(lifetimeMs >= 1000 && authorityLifetimeMs > lifetimeMs, 'lifetimes of certificates');
    if (!isIdentityPart(cluster)) throw trustErrors.TRUST_BAD_NAME(['id of a cluster', cluster]);
    const state: AuthorityState = {
      cluster,
      phase: 'steady',
      phaseSinceMs: clock.wallMs(),
      lifetimeMs,
      authorityLifetimeMs,
      signing: await makeSigningKey({ cluster, authorityLifetimeMs, nowMs: clock.wallMs(), random }),
    };
    const file = new AuthorityFile(options.file);
    file.create(state);
    return new ClusterAuthority(file, { state, clock, random });
  }

  /** @throws TRUST_FILE_MISSING, TRUST_FILE_OPEN, TRUST_FILE_UNREADABLE, TRUST_FILE_FAILED */
  static open(options: { file: string; clock: Clock; random?: Random }): ClusterAuthority {
    const { clock, random = systemRandom } = options;
    const file = new AuthorityFile(options.file);
    return new ClusterAuthority(file, { state: file.read(), clock, random });
  }

  get cluster(): string {
    return this.#state.cluster;
  }

  get phase(): Phase {
    return this.#state.phase;
  }

  /** Of members' certificates, milliseconds. */
  get lifetimeMs(): number {
    return this.#state.lifetimeMs;
  }

  /** Whom members believe: one authority, or two during a rotation; the one that signs first. */
  get authorities(): string {
    const { signing, next, previous } = this.#state;
    return signing.certificate + (next?.certificate ?? '') + (previous ?? '');
  }

  /** Pins of the authorities that sign, or will. */
  get pins(): string[] {
    const { signing, next } = this.#state;
    return [signing, ...(next ? [next] : [])].map(({ certificate }) =>
      keyPin(new X509Certificate(certificate).publicKey),
    );
  }

  /**
   * Signs what a request asks for: whether its sender may have it is for the caller to know. `lifetimeMs` may be
   * shorter than usual.
   *
   * @throws TRUST_WRONG_CLUSTER, TRUST_AUTHORITY_ENDED
   */
  async sign(request: CertificateRequest, options: { lifetimeMs?: number } = {}): Promise<Issued> {
    const { cluster, signing } = this.#state;
    if (request.identity.cluster !== cluster)
      throw trustErrors.TRUST_WRONG_CLUSTER([identityUri(request.identity), cluster]);
    const lifetimeMs = Math.min(options.lifetimeMs ?? this.lifetimeMs, this.lifetimeMs);
    const nowMs = this.#clock.wallMs();
    const own = new X509Certificate(signing.certificate);
    const endMs = own.validToDate.getTime();
    if (nowMs >= endMs || nowMs - CLOCK_SLACK_MS < own.validFromDate.getTime())
      throw trustErrors.TRUST_AUTHORITY_ENDED([shownTime(endMs), shownTime(nowMs)]);
    // A certificate of seconds, as tests have it, is not made to look as if it were minutes old.
    const backdateMs = Math.min(CLOCK_SLACK_MS, lifetimeMs / 4);
    const validity = { fromMs: nowMs - backdateMs, toMs: Math.min(nowMs + lifetimeMs, endMs) };
    const certificate = await signCertificate(request, signing, {
      serial: makeSerial(this.#random),
      validity,
    });
    return { certificate, authorities: this.authorities };
  }

  /** A whole identity, key included: for the process that holds the authority, which needs no token. */
  async issue(
    member: Omit<MemberIdentity, 'cluster'> & { hosts: readonly string[] },
    options: { lifetimeMs?: number } = {},
  ): Promise<TlsIdentity> {
    const { role, id, hosts } = member;
    if (!isIdentityPart(id)) throw trustErrors.TRUST_BAD_NAME(['id of a member', id]);
    const key = makeKey();
    const text = await makeRequest({ key, identity: { cluster: this.cluster, role, id }, hosts });
    return { ...(await this.sign(await readRequest(text), options)), key };
  }

  /** Wall clock from which on the next step of `rotate` cuts nobody off. */
  get nextStepMs(): number {
    const { phase, phaseSinceMs, lifetimeMs } = this.#state;
    return phase === 'steady' ? phaseSinceMs : phaseSinceMs + lifetimeMs + CLOCK_SLACK_MS;
  }

  /**
   * Takes the next step of the rotation; durable when it resolves. `force` does not wait, which cuts off who has not
   * renewed since the last step: for an authority whose key was stolen.
   *
   * @throws TRUST_ROTATION_EARLY, TRUST_FILE_FAILED
   */
  async rotate(options: { force?: boolean } = {}): Promise<Phase> {
    const nowMs = this.#clock.wallMs();
    if (nowMs < this.nextStepMs && !options.force)
      throw trustErrors.TRUST_ROTATION_EARLY([
        shownTime(this.nextStepMs),
        this.phase === 'announced'
          ? 'until then members may live that have not heard of the new authority'
          : 'until then members may live whose certificates are of the old one',
      ]);
    const state = await this.#nextState(nowMs);
    this.#file.replace(state);
    this.#state = state;
    return state.phase;
  }

  async #nextState(nowMs: number): Promise<AuthorityState> {
    const { next, previous: _, ...rest } = this.#state;
    const { phase, cluster, authorityLifetimeMs, signing } = this.#state;
    if (phase === 'steady') {
      const made = await makeSigningKey({ cluster, authorityLifetimeMs, nowMs, random: this.#random });
      return { ...rest, phase: 'announced', phaseSinceMs: nowMs, next: made };
    }
    if (phase === 'announced') {
      assert(next, 'an announced authority exists');
      return {
        ...rest,
        phase: 'switched',
        phaseSinceMs: nowMs,
        signing: next,
        previous: signing.certificate,
      };
    }
    return { ...rest, phase: 'steady', phaseSinceMs: nowMs };
  }
}

async function makeSigningKey(of: {
  cluster: string;
  authorityLifetimeMs: number;
  nowMs: number;
  random: Random;
}): Promise<SigningKey> {
  const { cluster, authorityLifetimeMs, nowMs } = of;
  const key = makeKey();
  const validity = { fromMs: nowMs - AUTHORITY_BACKDATE_MS, toMs: nowMs + authorityLifetimeMs };
  const serial = makeSerial(of.random);
  const certificate = await makeAuthorityCertificate({ cluster, key, serial, validity });
  assert(
    keyPin(createPublicKey(key)) === keyPin(new X509Certificate(certificate).publicKey),
    'own certificate',
  );
  return { certificate, key };
}

/** 128 random bits, positive, and of full length whatever they are (RFC 5280 §4.1.2.2 allows 20 bytes). */
const makeSerial = (random: Random): string => `01${random.hex(16)}`;
