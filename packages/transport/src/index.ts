/** Framed, checked messages between processes: the contract, its networks, and calls on top of it. */
export * from './connection.ts';
export { transportErrors } from './errors.ts';
export { unixNetwork, type UnixNetworkOptions } from './unix-network.ts';
export { tlsNetwork, type TlsNetworkOptions } from './tls-network.ts';
export type { TlsIdentity } from './tls-credentials.ts';
export { shownTime } from './tls-failures.ts';
export { formatTlsAddress, parseTlsAddress, type TlsAddress } from './tls-address.ts';
export {
  identityOfCertificate,
  identityUri,
  isIdentityPart,
  normalHost,
  parseIdentityUri,
  placedHeadId,
  placementOf,
  ROLES,
  type HeadPlacement,
  type MemberIdentity,
  type PeerIdentity,
  type Role,
} from './peer-identity.ts';
export { MemoryNetwork, type MemoryNetworkOptions } from './memory-network.ts';
export { connectWith } from './late-handler.ts';
export type { Lane, Link, NetworkObserver } from './memory-connection.ts';
export { Caller, type Answer, type CallerOptions, type CallOptions } from './caller.ts';
export { SharedFrame } from './shared-frame.ts';
export { Reconnector, type ReconnectorOptions } from './reconnector.ts';
