import { defineErrors } from '@rokka/kernel';

/** Why somebody could not be made, or stay, a member of the cluster. */
export const trustErrors = defineErrors({
  TRUST_BAD_NAME: (what: string, value: string) =>
    `${JSON.stringify(value)} can be no ${what}: 1 to 64 letters, digits, dots, dashes or underscores`,
  TRUST_BAD_HOST: (value: string) => `${JSON.stringify(value)} is no host: a DNS name or an IP address`,

  TRUST_FILE_MISSING: (path: string) => `${path} does not exist: make or join a cluster first`,
  TRUST_FILE_EXISTS: (path: string) =>
    `${path} exists already and is not overwritten: whoever holds its key would be locked out; choose another place`,
  TRUST_FILE_OPEN: (path: string, mode: string) =>
    `${path} has mode ${mode}: others may read the key in it; if nobody did, chmod 600 it, else replace what it holds`,
  TRUST_FILE_UNREADABLE: (path: string, why: string) =>
    `${path} cannot be read: ${why}; put back a copy, or make it anew`,
  TRUST_FILE_FAILED: (path: string, why: string) => `${path}: ${why}`,

  TRUST_BAD_REQUEST: (why: string) => `the certificate request cannot be taken: ${why}`,
  TRUST_WRONG_CLUSTER: (seen: string, own: string) =>
    `the request is for ${seen}, this authority serves cluster ${own}`,
  TRUST_AUTHORITY_ENDED: (until: string, now: string) =>
    `the authority's own certificate is not valid at ${now} (it ends ${until}): if the clock is right, make a new authority`,
  TRUST_ROTATION_EARLY: (from: string, why: string) =>
    `the authority cannot be changed before ${from}: ${why}; wait, or force it and join again whom it cuts off`,

  TRUST_TOKEN_UNREADABLE: (why: string) =>
    `this is no join token: ${why}; copy it whole, it begins with rokka-join-v1.`,
  TRUST_TOKEN_UNKNOWN: (tokenId: string) =>
    `join token ${tokenId} is not known here, or was altered: issue a new one`,
  TRUST_TOKEN_EXPIRED: (tokenId: string, at: string) =>
    `join token ${tokenId} expired ${at}: issue a new one`,
  TRUST_TOKEN_USED: (tokenId: string, by: string) =>
    `join token ${tokenId} was used already, by ${by}: issue a new one; if that was not you, take ${by} out of the cluster`,
  TRUST_TOKEN_REVOKED: (tokenId: string) => `join token ${tokenId} was revoked: issue a new one`,
  TRUST_TOKEN_OTHER: (tokenId: string, asked: string, allowed: string) =>
    `join token ${tokenId} lets ${allowed} join, the request is for ${asked}: issue a token for that`,
  TRUST_TOKENS_FULL: (max: number) => `${max} join tokens are open already: revoke some`,
  TRUST_TOKEN_CONTENDED: (tokenId: string) =>
    `join token ${tokenId} is being changed by several at once: look at it and repeat`,

  TRUST_WRONG_PIN: (address: string) =>
    `${address}: whoever answers there does not hold the authority that made the token: nothing was sent; is the address ` +
    `right, is somebody between?`,
  TRUST_NOT_AUTHORITY: (address: string, seen: string) =>
    `${address}: ${seen} answers there, not the cluster's authority: nothing was sent`,
  TRUST_CLOCK_OFF: (address: string, theirs: string, own: string) =>
    `this machine's clock says ${own}, that of ${address} ${theirs}: certificates would not be valid; set the clock (NTP)`,
  TRUST_CLOCK_OUTSIDE: (address: string, times: string, own: string) =>
    `${address}: the certificate of the authority's process is valid ${times}, this machine's clock says ${own}: set the ` +
    `clock (NTP); if it is right, see why that process did not renew`,
  TRUST_JOIN_UNREACHABLE: (address: string, why: string) =>
    `${address}: joining is not possible there: ${why}; is it running, and reachable from here?`,
  TRUST_JOIN_BROKEN: (peer: string, why: string) => `${peer}: the join conversation broke: ${why}`,
  TRUST_JOIN_LATE: (peer: string, ms: number) => `${peer}: joining took longer than ${ms} ms`,
  TRUST_JOIN_LIMITED: (peer: string) =>
    `${peer}: too many attempts to join have failed; the next ones are heard in a minute`,

  TRUST_ANSWER_UNUSABLE: (from: string, why: string) =>
    `${from}: the certificate that came cannot be used: ${why}`,
  TRUST_RENEWAL_REFUSED: (member: string, why: string) => `${member} gets no new certificate: ${why}`,
  TRUST_CERTIFICATE_ENDS: (member: string, until: string) =>
    `the certificate of ${member} ends ${until} and could not be renewed: see that the authority can be reached`,
  TRUST_CERTIFICATE_ENDED: (member: string, until: string) =>
    `the certificate of ${member} ended ${until}: join again with a new token that names it`,
});
