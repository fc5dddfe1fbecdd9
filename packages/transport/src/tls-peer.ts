/** Whether the member that a verified certificate names may be on the other side of this link. */
import type * as tls from 'node:tls';
import { assert } from '@rokka/kernel';
import { transportErrors } from './errors.ts';
import { identityOfCertificate, identityUri, type PeerIdentity, type Role } from './peer-identity.ts';

export interface PeerRules {
  own: PeerIdentity;
  /** Undefined: every role. */
  roles: readonly Role[] | undefined;
  expectedId?: string | undefined;
  admits: ((peer: PeerIdentity) => boolean) | undefined;
}

/**
 * The identity of the other side of `socket`, whose handshake is done.
 *
 * @throws TRANSPORT_TLS_NO_CERTIFICATE, _NO_IDENTITY, _WRONG_CLUSTER, _WRONG_ROLE, _WRONG_PEER, _NOT_ADMITTED
 */
export function checkedPeer(socket: tls.TLSSocket, at: string, rules: PeerRules): PeerIdentity {
  assert(socket.authorized, 'a peer is looked at after its certificate was verified');
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) throw transportErrors.TRANSPORT_TLS_NO_CERTIFICATE([at]);
  const peer = identityOfCertificate(certificate, at);
  const { own, roles, expectedId, admits } = rules;
  const seen = identityUri(peer);
  if (peer.cluster !== own.cluster)
    throw transportErrors.TRANSPORT_TLS_WRONG_CLUSTER([at, seen, own.cluster]);
  if (roles && !roles.includes(peer.role))
    throw transportErrors.TRANSPORT_TLS_WRONG_ROLE([at, seen, roles.join(', ')]);
  if (expectedId !== undefined && peer.id !== expectedId)
    throw transportErrors.TRANSPORT_TLS_WRONG_PEER([at, seen, expectedId]);
  if (admits && !admits(peer)) throw transportErrors.TRANSPORT_TLS_NOT_ADMITTED([at, seen]);
  return peer;
}
