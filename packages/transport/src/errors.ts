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
});
