/** How a machine that joined talks to the desk. */
import { deadline, systemClock } from '@rokka/kernel';
import { Caller, identityUri, type Network } from '@rokka/transport';
import { rokkaErrors } from '../errors.ts';
import {
  decodeJson,
  decodeRefusal,
  DESK,
  encodeJson,
  type HeadAdmission,
  PROTOCOL,
  type Registered,
  type Registration,
} from './desk-messages.ts';

const TIMEOUT_MS = 5_000;

/** @throws what Network.connect and Caller.call throw, ROKKA_DESK_BAD_ANSWER, what the desk refused with */
export async function registerAt(
  desk: string,
  network: Network,
  registration: Registration,
): Promise<Registered> {
  return (await ask(desk, network, registration)) as Registered;
}

/** The same for a machine that is to run the database. @throws as `registerAt` */
export async function admitHeadAt(desk: string, network: Network): Promise<HeadAdmission> {
  return (await ask(desk, network, { protocol: PROTOCOL, address: '', instance: '' })) as HeadAdmission;
}

async function ask(desk: string, network: Network, registration: Registration): Promise<unknown> {
  const caller = await Caller.connect(network, desk, { clock: systemClock, timeoutMs: TIMEOUT_MS });
  const { connection } = caller;
  try {
    const peer = connection.peerIdentity;
    if (peer?.role !== 'authority') {
      const seen = peer ? identityUri(peer) : 'somebody unknown';
      throw rokkaErrors.ROKKA_DESK_BAD_ANSWER([desk, `${seen} answers there, not the cluster's authority`]);
    }
    const asked = caller.call(DESK.REGISTER, [encodeJson(registration)], { timeoutMs: TIMEOUT_MS });
    const { type, body } = await deadline(asked, { what: 'a registration', ms: TIMEOUT_MS });
    if (type === DESK.REFUSED) throw decodeRefusal(body);
    if (type === DESK.REGISTERED) return decodeJson(body);
    throw rokkaErrors.ROKKA_DESK_BAD_ANSWER([desk, `message type ${type} came`]);
  } finally {
    connection.close();
  }
}
