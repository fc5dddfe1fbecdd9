/** Looks at a certificate that has come, before anything is replaced by it. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isCoded } from '@rokka/kernel';
import {
  shownTime,
  identityOfCertificate,
  identityUri,
  type MemberIdentity,
  type PeerIdentity,
} from '@rokka/transport';
import type { Issued } from './authority.ts';
import { trustErrors } from './errors.ts';

const AUTHORITIES_MAX = 4;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

export const certificatesIn = (pem: string): X509Certificate[] =>
  (pem.match(CERTIFICATE) ?? []).slice(0, AUTHORITIES_MAX + 1).map((text) => new X509Certificate(text));

/**
 * What the certificate says, if it is of `key`, for `member`, valid now, and of an authority that came with it.
 *
 * @throws TRUST_ANSWER_UNUSABLE
 */
export function checkIssued(
  issued: Issued,
  expected: { key: string; member: MemberIdentity; nowMs: number; from: string },
): PeerIdentity {
  const { key, member, nowMs, from } = expected;
  const bad = (why: string, cause?: unknown) => trustErrors.TRUST_ANSWER_UNUSABLE([from, why], { cause });
  try {
    const [certificate, ...more] = certificatesIn(issued.certificate);
    const authorities = certificatesIn(issued.authorities);
    if (!certificate || more.length > 0) throw bad('it is not one certificate');
    if (!certificate.checkPrivateKey(createPrivateKey(key))) throw bad('it is for another key');
    const identity = identityOfCertificate(certificate, from);
    if (identityUri(identity) !== identityUri(member))
      throw bad(`it is for ${identityUri(identity)}, not ${identityUri(member)}`);
    if (
      authorities.length === 0 ||
      authorities.length > AUTHORITIES_MAX ||
      !authorities.every(({ ca }) => ca)
    )
      throw bad(`${authorities.length} authorities came with it`);
    if (!authorities.some(({ publicKey }) => certificate.verify(publicKey)))
      throw bad('no authority that came with it has signed it');
    const { validFromMs, validToMs } = identity;
    if (nowMs < validFromMs || nowMs >= validToMs)
      throw bad(
        `it is valid from ${shownTime(validFromMs)} to ${shownTime(validToMs)}, this machine's clock says ` +
          `${shownTime(nowMs)}: set the clock (NTP)`,
      );
    return identity;
  } catch (error) {
    if (isCoded(error, 'TRUST_ANSWER_UNUSABLE')) throw error;
    throw bad(error instanceof Error ? error.message : String(error), error);
  }
}

/** A certificate is renewed from here on: two thirds of its life after its beginning. */
export const renewalDueMs = ({
  validFromMs,
  validToMs,
}: {
  validFromMs: number;
  validToMs: number;
}): number => validFromMs + ((validToMs - validFromMs) * 2) / 3;
