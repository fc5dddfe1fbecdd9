/**
 * What this process shows of itself and whom it believes, made ready for OpenSSL. The identity is asked for at each
 * connection, so that a renewed certificate or a longer list of authorities applies at once; the work is done only when
 * it has changed.
 */
import { constants, X509Certificate } from 'node:crypto';
import * as tls from 'node:tls';
import { isCoded } from '@rokka/kernel';
import { transportErrors } from './errors.ts';
import { identityOfCertificate, type PeerIdentity } from './peer-identity.ts';

/** All three in PEM. */
export interface TlsIdentity {
  /** The certificate, followed by those that lead to its authority, if any. */
  readonly certificate: string;
  readonly key: string;
  /** The cluster's authorities: one, or two while one takes over from the other. */
  readonly authorities: string;
}

/**
 * TLS 1.3 alone, and no resumption: a resumed session would skip the look at the certificate, which may have expired or
 * lost its authority since (Node keeps no session state, so without tickets there is nothing to resume).
 */
const PROTOCOL = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const satisfies tls.SecureContextOptions;

export interface Credentials {
  readonly options: tls.SecureContextOptions;
  readonly context: tls.SecureContext;
  /** What the other side will be shown. */
  readonly own: PeerIdentity;
}

export class CredentialsSource {
  readonly #identity: () => TlsIdentity;
  #made: { from: TlsIdentity; credentials: Credentials } | undefined;

  constructor(identity: () => TlsIdentity) {
    this.#identity = identity;
  }

  /** The same object for as long as the identity stays. @throws TRANSPORT_TLS_BAD_IDENTITY, and what `identity` throws */
  current(): Credentials {
    const identity = this.#identity();
    if (!this.#made || !sameIdentity(this.#made.from, identity))
      this.#made = { from: { ...identity }, credentials: makeCredentials(identity) };
    return this.#made.credentials;
  }
}

const sameIdentity = (a: TlsIdentity, b: TlsIdentity) =>
  a === b || (a.certificate === b.certificate && a.key === b.key && a.authorities === b.authorities);

function makeCredentials(identity: TlsIdentity): Credentials {
  try {
    const options = {
      ...PROTOCOL,
      cert: identity.certificate,
      key: identity.key,
      ca: identity.authorities,
    };
    const own = identityOfCertificate(new X509Certificate(identity.certificate), 'this process');
    return { options, context: tls.createSecureContext(options), own };
  } catch (error) {
    if (isCoded(error)) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw transportErrors.TRANSPORT_TLS_BAD_IDENTITY([why], { cause: error });
  }
}
