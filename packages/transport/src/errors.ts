import { defineErrors } from '@rokka/kernel';

/** Why a connection could not be made or has ended. `peer` and `address` are paths or names, as given by the caller. */
export const transportErrors = defineErrors({
  TRANSPORT_ADDRESS_USED: (address: string, why: string) =>
    `${address} cannot be listened on: ${why}; stop what is there or choose another address`,
  TRANSPORT_PERMISSION: (address: string, why: string) =>
    `${address} cannot be listened on: ${why}; give this user the directory (mode 0700) or choose another`,
  TRANSPORT_PATH_TOO_LONG: (address: string, bytes: number, max: number) =>
    `${address} has ${bytes} bytes, a socket path here may have ${max}: choose a shorter directory`,
  TRANSPORT_LISTEN_FAILED: (address: string, why: string) => `${address} cannot be listened on: ${why}`,
  TRANSPORT_UNREACHABLE: (address: string, why: string) =>
    `${address} is unreachable: ${why}; is the program that serves it running?`,
  TRANSPORT_NOT_ROKKA: (peer: string, begins: string) =>
    `${peer}: the other side does not speak Rokka's protocol (it began with ${begins}); connection refused`,
  TRANSPORT_WRONG_VERSION: (peer: string, found: string, own: string) =>
    `${peer}: the other side speaks frame version ${found}, this program ${own}: run the same release on both`,
  TRANSPORT_PREAMBLE_LATE: (peer: string, ms: number) =>
    `${peer}: the other side did not greet within ${ms} ms; connection refused`,
  TRANSPORT_FRAME_TOO_LONG: (peer: string, bytes: number, max: number) =>
    `${peer}: a frame claims ${bytes} bytes, ${max} are allowed; connection ended`,
  TRANSPORT_FRAME_DAMAGED: (peer: string) => `${peer}: a frame failed its checksum; connection ended`,
  TRANSPORT_FRAME_CUT: (peer: string, have: number) =>
    `${peer}: the connection ended ${have} bytes into a frame`,
  TRANSPORT_CLOSED: (peer: string) => `${peer}: the other side closed the connection`,
  TRANSPORT_CLOSED_HERE: (peer: string) => `${peer}: this side closed the connection`,
  TRANSPORT_RESET: (peer: string, why: string) => `${peer}: the connection broke: ${why}`,
  TRANSPORT_IDLE: (peer: string, ms: number) => `${peer}: nothing arrived for ${ms} ms; connection ended`,
  TRANSPORT_SEND_FULL: (peer: string, bytes: number) =>
    `${peer}: ${bytes} bytes wait to be sent already; repeat when the other side has caught up`,
  TRANSPORT_CALLS_FULL: (peer: string, limit: number) =>
    `${peer}: ${limit} calls are waiting for answers already; repeat when some have come`,
  TRANSPORT_CALL_LATE: (peer: string, type: number, ms: number) =>
    `${peer}: no answer to message type ${type} within ${ms} ms`,
  TRANSPORT_BAD_ADDRESS: (address: string, why: string) => `${JSON.stringify(address)} is no address: ${why}`,
  TRANSPORT_TLS_BAD_IDENTITY: (why: string) =>
    `this process's own certificate, key or authorities cannot be used: ${why}; join the cluster again`,
  TRANSPORT_TLS_NOT_TLS: (peer: string, seen: string) =>
    `${peer}: the other side does not speak TLS 1.3 (${seen}); is the address right?`,
  TRANSPORT_TLS_HANDSHAKE_LATE: (peer: string, ms: number) =>
    `${peer}: the other side did not finish the TLS handshake within ${ms} ms; connection refused`,
  TRANSPORT_TLS_CROWDED: (peer: string, max: number) =>
    `${peer}: ${max} newer connections are in their TLS handshake, this one was the slowest; connection refused`,
  TRANSPORT_TLS_NO_CERTIFICATE: (peer: string) =>
    `${peer}: the other side showed no certificate; only members may connect: join that machine with a token`,
  TRANSPORT_TLS_UNTRUSTED: (peer: string, seen: string) =>
    `${peer}: the other side's certificate is not of an authority of this cluster (${seen}): it belongs to a stranger ` +
    `or to another cluster, or one side still lacks a new authority; join that machine with a token of this cluster`,
  TRANSPORT_TLS_EXPIRED: (peer: string, now: string) =>
    `${peer}: the other side's certificate has expired by this machine's clock (${now}): if a clock is off, set it; ` +
    `else see why that member did not renew, and join it again`,
  TRANSPORT_TLS_NOT_YET_VALID: (peer: string, now: string) =>
    `${peer}: the other side's certificate is not valid yet by this machine's clock (${now}): set the clock, here or ` +
    `where certificates are issued`,
  TRANSPORT_TLS_NO_IDENTITY: (peer: string, seen: string) =>
    `${peer}: the certificate names no member of a cluster (rokka://cluster/role/id), it has ${seen}`,
  TRANSPORT_TLS_WRONG_CLUSTER: (peer: string, seen: string, own: string) =>
    `${peer}: the other side is ${seen}, this process belongs to cluster ${own}; is the address right?`,
  TRANSPORT_TLS_WRONG_ROLE: (peer: string, seen: string, allowed: string) =>
    `${peer}: the other side is ${seen}, here only ${allowed} may be; is the address right?`,
  TRANSPORT_TLS_WRONG_PEER: (peer: string, seen: string, expected: string) =>
    `${peer}: the other side is ${seen}, not ${expected}; has the address been given to another member?`,
  TRANSPORT_TLS_WRONG_HOST: (peer: string, why: string) =>
    `${peer}: the other side's certificate was not issued for this host: ${why}; join that member again with the hosts ` +
    `under which it is reached`,
  TRANSPORT_TLS_NOT_ADMITTED: (peer: string, seen: string) =>
    `${peer}: ${seen} is not admitted any more; join that machine again if it shall be`,
  TRANSPORT_TLS_REFUSED: (peer: string, own: string) =>
    `${peer}: the other side saw this process's certificate (${own}) and ended the connection without a greeting: its ` +
    `log says why; is a clock off, or is it a member of another cluster?`,
  TRANSPORT_TLS_LINK_AGED: (peer: string, until: string) =>
    `${peer}: the certificate with which the connection was made ends ${until}; connection ended, to be made anew`,
});
