/**
 * What OpenSSL and Node say when a handshake fails, as this package's coded errors. The codes are those of
 * X509_verify_cert (openssl-verification-options(1)), of OpenSSL's SSL library and of Node's `tls`.
 */
import type { CodedError } from '@rokka/kernel';
import { transportErrors } from './errors.ts';
import { identityUri, type PeerIdentity } from './peer-identity.ts';

/** How a moment appears in messages: UTC, to the second. */
export const shownTime = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

/** Codes of a chain that does not lead to a believed authority, or was not made for this use. */
const UNTRUSTED = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
  'CERT_CHAIN_TOO_LONG',
  'CERT_REVOKED',
  'CERT_UNTRUSTED',
  'CERT_REJECTED',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'UNSPECIFIED',
];

export interface HandshakeFailure {
  peer: string;
  /** Code of the error, or of the verification that failed. */
  code: string;
  /** Wall clock of this machine. */
  nowMs: number;
  cause: unknown;
}

/** The coded reason, or undefined for a failure of the network beneath. */
export function handshakeFailure(failure: HandshakeFailure): CodedError | undefined {
  const { peer, code, nowMs, cause } = failure;
  const more = { cause, detail: { tls: code } };
  const now = shownTime(nowMs);
  if (code === 'CERT_HAS_EXPIRED') return transportErrors.TRANSPORT_TLS_EXPIRED([peer, now], more);
  if (code === 'CERT_NOT_YET_VALID') return transportErrors.TRANSPORT_TLS_NOT_YET_VALID([peer, now], more);
  if (code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE')
    return transportErrors.TRANSPORT_TLS_NO_CERTIFICATE([peer], more);
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const why = cause instanceof Error ? cause.message : code;
    return transportErrors.TRANSPORT_TLS_WRONG_HOST([peer, why], more);
  }
  if (UNTRUSTED.includes(code)) return transportErrors.TRANSPORT_TLS_UNTRUSTED([peer, code], more);
  if (code.startsWith('ERR_SSL_')) return transportErrors.TRANSPORT_TLS_NOT_TLS([peer, code], more);
  return undefined;
}

/** The other side ended the link after it had seen our certificate: it does not say why. */
export function refusedByPeer(peer: string, own: PeerIdentity, cause: unknown): CodedError {
  const { validFromMs, validToMs } = own;
  const shown = `${identityUri(own)}, valid from ${shownTime(validFromMs)} to ${shownTime(validToMs)}`;
  return transportErrors.TRANSPORT_TLS_REFUSED([peer, shown], { cause });
}
