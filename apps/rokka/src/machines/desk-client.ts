/** How a machine that joined talks to the desk. */
import { CodedError, systemClock } from '@rokka/kernel';
import { Caller, identityUri, type Network } from '@rokka/transport';
import type { Issued } from '@rokka/trust';
import { rokkaErrors } from '../errors.ts';
import {
  decodeAnswer,
  DESK,
  encodeJson,
  type HeadAdmission,
  PROTOCOL,
  type Registered,
  type Registration,
} from './desk-messages.ts';

const CONNECT_MS = 5_000;
/** More than the registry's patience, so that the desk can say what it waited for. */
const ANSWER_MS = 8_000;

/** @throws what Network.connect and Caller.call throw, ROKKA_DESK_BAD_ANSWER, what the desk refused with */
export async function registerAt(
  desk: string,
  network: Network,
  registration: Registration,
): Promise<Registered> {
  return (await ask(desk, network, registration)) as unknown as Registered;
}

/** The same for a machine that is to run the database. @throws as `registerAt` */
export async function admitHeadAt(desk: string, network: Network): Promise<HeadAdmission> {
  const registration: Registration = { protocol: PROTOCOL, address: '', instance: '' };
  return (await ask(desk, network, registration)) as unknown as HeadAdmission;
}

/** A certificate for a head of this machine. @throws as `registerAt`, but for what the machine is told */
export async function certificateAt(desk: string, network: Network, request: string): Promise<Issued> {
  return (await ask(desk, network, { request }, 'certificate')) as unknown as Issued;
}

async function ask(
  desk: string,
  network: Network,
  said: object,
  wanted: 'registration' | 'certificate' = 'registration',
): Promise<Record<string, unknown>> {
  const [asks, answers] =
    wanted === 'registration' ? [DESK.REGISTER, DESK.REGISTERED] : [DESK.CERTIFY, DESK.CERTIFIED];
  const caller = await Caller.connect(network, desk, { clock: systemClock, timeoutMs: CONNECT_MS });
  const { connection } = caller;
  try {
    const peer = connection.peerIdentity;
    if (peer?.role !== 'authority') {
      const seen = peer ? identityUri(peer) : 'somebody unknown';
      throw rokkaErrors.ROKKA_DESK_BAD_ANSWER([desk, `${seen} answers there, not the cluster's authority`]);
    }
    const { type, body } = await caller.call(asks, [encodeJson(said)], {
      timeoutMs: ANSWER_MS,
    });
    const answer = decodeAnswer(body);
    if (type === DESK.REFUSED && answer)
      throw new CodedError(String(answer['code']), String(answer['message']));
    if (type === answers && answer) return answer;
    throw rokkaErrors.ROKKA_DESK_BAD_ANSWER([desk, `message type ${type} came`]);
  } finally {
    connection.close();
  }
}
