/** The cluster's certificate authority: who is a member, how one becomes it, how it stays one. */
export { trustErrors } from './errors.ts';
export { ClusterAuthority, type Issued, type MakeAuthorityOptions } from './authority.ts';
export type { Phase } from './authority-file.ts';
export { checkIssued, renewalDueMs } from './issued.ts';
export { makeKey, makeRequest, readRequest, type CertificateRequest } from './certificates.ts';
export { decodeJoinToken, type JoinToken } from './join-token.ts';
export { JoinTokens, type IssueTokenOptions, type JoinTokensOptions } from './join-tokens.ts';
export { MemoryTokenStore, type StoredToken, type TokenRecord, type TokenStore } from './token-store.ts';
export { listenForJoins, type JoinServerOptions } from './join-server.ts';
export { joinCluster, type Joined, type JoinOptions } from './join-client.ts';
export { renewals, renewFrom, renewOver, type Renew, type RenewalOptions } from './renewal.ts';
export { CertificateKeeper, type KeeperOptions } from './certificate-keeper.ts';
export { readIdentityFile, writeIdentityFile } from './identity-file.ts';
