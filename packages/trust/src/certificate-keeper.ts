/**
 * Keeps one member's identity: hands it to the TLS network, renews it by itself, and keeps it in its file.
 *
 * A certificate is renewed when two thirds of its life are over, up to a twelfth later at random, so that the members of
 * a cluster that was made in one go do not all come at once. A failed attempt is repeated, with growing waits, for as
 * long as the process lives; in the last sixth each failure is a warning, too.
 *
 * The new identity is in its file before it is used; a crash in between costs one more renewal. Times are counted on the
 * wall clock, in steps of an hour at most, for a machine sleeps and clocks are set.
 */
import { X509Certificate } from 'node:crypto';
import { isCoded, systemRandom, type Clock, type CodedError, type Random } from '@rokka/kernel';
import {
  shownTime,
  identityOfCertificate,
  identityUri,
  type PeerIdentity,
  type TlsIdentity,
} from '@rokka/transport';
import { makeKey, makeRequest } from './certificates.ts';
import { trustErrors } from './errors.ts';
import { readIdentityFile, writeIdentityFile } from './identity-file.ts';
import { checkIssued, renewalDueMs } from './issued.ts';
import type { Renew } from './renewal.ts';

const LOOK_MS_MAX = 3_600_000;
const RETRY_MS_MIN = 60_000;
const RETRY_MS_MAX = 3_600_000;

export interface KeeperOptions {
  file: string;
  clock: Clock;
  /** Asks for the certificate; its own deadline must hold. */
  renew: Renew;
  random?: Random;
  /** Hosts to be certified from the next renewal on; default those of the present certificate. */
  hosts?: readonly string[];
  onRenewed?: (member: PeerIdentity) => void;
  /** For logs: an attempt has failed, the next one follows after `waitMs`. */
  onFailure?: (reason: CodedError, waitMs: number) => void;
  /** For people: TRUST_CERTIFICATE_ENDS while it still holds, TRUST_CERTIFICATE_ENDED afterwards. */
  onWarning?: (warning: CodedError) => void;
}

export class CertificateKeeper implements AsyncDisposable {
  readonly #options: KeeperOptions;
  readonly #random: Random;
  #identity: TlsIdentity;
  #member: PeerIdentity;
  #renewAtMs: number;
  #failures = 0;
  #cancelTimer = () => {};
  #renewing: Promise<void> | undefined;
  #disposed = false;

  private constructor(options: KeeperOptions, identity: TlsIdentity) {
    this.#options = options;
    this.#random = options.random ?? systemRandom;
    this.#identity = identity;
    this.#member = memberOf(identity);
    this.#renewAtMs = this.#nextRenewalMs();
    this.#schedule();
  }

  /** Keeps what is in the file. @throws TRUST_FILE_MISSING, TRUST_FILE_OPEN, TRUST_FILE_UNREADABLE, TRUST_FILE_FAILED */
  static open(options: KeeperOptions): CertificateKeeper {
    return new CertificateKeeper(options, readIdentityFile(options.file));
  }

  /** Writes a new identity, such as that of a join, to the file, and keeps it. @throws TRUST_FILE_FAILED */
  static start(options: KeeperOptions & { identity: TlsIdentity }): CertificateKeeper {
    writeIdentityFile(options.file, options.identity);
    return CertificateKeeper.open(options);
  }

  /** For `tlsNetwork`: the same object until it is renewed. */
  readonly identity = (): TlsIdentity => this.#identity;

  /** What the present certificate says. */
  get member(): PeerIdentity {
    return this.#member;
  }

  /**
   * Renews at once, or waits for the renewal that is under way.
   *
   * @throws what `renew` throws, TRUST_ANSWER_UNUSABLE, TRUST_FILE_FAILED
   */
  async renewNow(): Promise<void> {
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined;
    });
    await this.#renewing;
  }

  /** Stops renewing; waits for a renewal that is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#cancelTimer();
    await this.#renewing?.catch(() => {});
  }

  async #renew(): Promise<void> {
    const { clock, renew, file, onRenewed } = this.#options;
    const member = this.#member;
    const key = makeKey();
    const { hosts = member.hosts } = this.#options;
    const issued = await renew(await makeRequest({ key, identity: member, hosts }));
    const from = 'the authority';
    const renewed = checkIssued(issued, { key, member, nowMs: clock.wallMs(), from });
    const identity = { ...issued, key };
    writeIdentityFile(file, identity);
    this.#identity = identity;
    this.#member = renewed;
    this.#failures = 0;
    // An authority whose certificates are old when they come is not asked in a circle.
    const pauseMs = (renewed.validToMs - renewed.validFromMs) / 100;
    this.#renewAtMs = Math.max(this.#nextRenewalMs(), clock.wallMs() + pauseMs);
    this.#schedule();
    onRenewed?.(renewed);
  }

  /** When it is due, and a little more. */
  #nextRenewalMs(): number {
    const { validFromMs, validToMs } = this.#member;
    return renewalDueMs(this.#member) + this.#share((validToMs - validFromMs) / 12);
  }

  /** At random between 0 and `ms`. */
  #share(ms: number): number {
    return (ms * this.#random.below(1_000_000)) / 1_000_000;
  }

  #schedule(): void {
    this.#cancelTimer();
    if (this.#disposed) return;
    const { clock } = this.#options;
    const leftMs = Math.max(0, this.#renewAtMs - clock.wallMs());
    this.#cancelTimer = clock.after(Math.min(leftMs, LOOK_MS_MAX), () => this.#look());
  }

  #look(): void {
    if (this.#options.clock.wallMs() < this.#renewAtMs) return this.#schedule();
    void this.renewNow().catch((error: unknown) => {
      if (!isCoded(error)) throw error;
      this.#onFailure(error);
    });
  }

  #onFailure(reason: CodedError): void {
    const { clock, onFailure } = this.#options;
    const { validFromMs, validToMs } = this.#member;
    // A certificate of seconds, as tests have it, is not waited for by the minute.
    const lifeMs = validToMs - validFromMs;
    const longest = Math.min(RETRY_MS_MAX, lifeMs / 20);
    const shortest = Math.min(RETRY_MS_MIN, lifeMs / 100);
    const waitMs = Math.min(shortest * 2 ** Math.min(this.#failures++, 20), longest);
    const drawnMs = waitMs / 2 + this.#share(waitMs / 2);
    onFailure?.(reason, drawnMs);
    this.#warn();
    this.#renewAtMs = clock.wallMs() + drawnMs;
    this.#schedule();
  }

  #warn(): void {
    const { clock, onWarning } = this.#options;
    const { validFromMs, validToMs } = this.#member;
    const leftMs = validToMs - clock.wallMs();
    if (leftMs > (validToMs - validFromMs) / 6) return;
    const about = [identityUri(this.#member), shownTime(validToMs)] as [string, string];
    onWarning?.(
      leftMs > 0 ? trustErrors.TRUST_CERTIFICATE_ENDS(about) : trustErrors.TRUST_CERTIFICATE_ENDED(about),
    );
  }
}

const memberOf = ({ certificate }: TlsIdentity): PeerIdentity =>
  identityOfCertificate(new X509Certificate(certificate), 'this process');
