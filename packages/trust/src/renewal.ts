/**
 * Members get new certificates over a link that the old ones made: the authority's process answers on a TLS network, and
 * a member asks for the identity that it has proven to have, nothing else.
 *
 * Frames: 1 RENEW, the request; 2 RENEWED, certificate and authorities; 3 REFUSED, the reason. All are strings of the
 * kernel's codec.
 */
import { ByteReader, ByteWriter, isCoded, type Clock, type CodedError } from '@rokka/kernel';
import {
  Caller,
  identityUri,
  type Connection,
  type ConnectionHandler,
  type Frame,
  type MemberIdentity,
  type Network,
  type PeerIdentity,
} from '@rokka/transport';
import type { ClusterAuthority, Issued } from './authority.ts';
import { readRequest, REQUEST_CHARACTERS_MAX } from './certificates.ts';
import { trustErrors } from './errors.ts';

const RENEW = 1;
const RENEWED = 2;
const REFUSED = 3;

export interface RenewalOptions {
  authority: ClusterAuthority;
  /** Says no to a member that was taken out of the cluster: its certificate ends, and no other follows. */
  mayRenew?: (member: PeerIdentity) => boolean | Promise<boolean>;
  onRenewed?: (member: MemberIdentity) => void;
  onRefused?: (reason: CodedError) => void;
}

/** For `Network.listen` of a TLS network in the role `authority`: a handler for each connection. */
export function renewals(options: RenewalOptions): (connection: Connection) => ConnectionHandler {
  return () => {
    let busy = false;
    return {
      onFrame(connection, frame) {
        const member = connection.peerIdentity;
        // One at a time; whoever sends more is no member's keeper.
        if (!member || busy || frame.type !== RENEW) return connection.close();
        busy = true;
        void answer(connection, frame.requestId, { ...options, member, asked: textIn(frame) }).then(() => {
          busy = false;
        });
      },
      onClose() {},
    };
  };
}

/** @throws KERNEL_SHORT_BYTES */
function textIn(frame: Frame): string {
  const text = new ByteReader(frame.body).string();
  return text.slice(0, REQUEST_CHARACTERS_MAX + 1);
}

async function answer(
  connection: Connection,
  requestId: number,
  options: RenewalOptions & { member: PeerIdentity; asked: string },
): Promise<void> {
  const { member, onRenewed, onRefused } = options;
  try {
    const issued = await renew(options);
    const body = new ByteWriter().string(issued.certificate).string(issued.authorities);
    connection.send(RENEWED, requestId, [body.finish()]);
    onRenewed?.(member);
  } catch (error) {
    if (!isCoded(error)) throw error;
    onRefused?.(error);
    connection.send(REFUSED, requestId, [new ByteWriter().string(error.message).finish()]);
  }
}

async function renew(options: RenewalOptions & { member: PeerIdentity; asked: string }): Promise<Issued> {
  const { member, authority, mayRenew } = options;
  const refuse = (why: string) => trustErrors.TRUST_RENEWAL_REFUSED([identityUri(member), why]);
  const request = await readRequest(options.asked);
  if (identityUri(request.identity) !== identityUri(member))
    throw refuse(`it asked to be ${identityUri(request.identity)}`);
  if (mayRenew && !(await mayRenew(member))) throw refuse('it was taken out of the cluster');
  // A key that was stolen cannot be moved to another machine's name.
  if (!request.hosts.every((host) => member.hosts.includes(host)))
    throw refuse(`it asked for hosts ${request.hosts.join(', ')}`);
  return authority.sign(request);
}

/** How a keeper gets a new certificate: from the request to what came. */
export type Renew = (request: string) => Promise<Issued>;

/**
 * Asks the authority's process, on a connection made for it.
 *
 * @throws what Network.connect and Caller.call throw, TRUST_NOT_AUTHORITY, TRUST_RENEWAL_REFUSED, TRUST_ANSWER_UNUSABLE
 */
export function renewOver(options: {
  network: Network;
  address: string;
  clock: Clock;
  timeoutMs?: number;
}): Renew {
  const { network, address, clock, timeoutMs = 10_000 } = options;
  return async (request) => {
    const caller = await Caller.connect(network, address, { clock, timeoutMs });
    const { connection } = caller;
    try {
      const peer = connection.peerIdentity;
      // Who answers here says whom to believe: a node with a stolen key must not.
      if (peer?.role !== 'authority')
        throw trustErrors.TRUST_NOT_AUTHORITY([address, peer ? identityUri(peer) : 'somebody unknown']);
      const { type, body } = await caller.call(RENEW, [new ByteWriter().string(request).finish()], {
        timeoutMs,
      });
      const reader = new ByteReader(body);
      if (type === RENEWED) return { certificate: reader.string(), authorities: reader.string() };
      if (type !== REFUSED) throw trustErrors.TRUST_ANSWER_UNUSABLE([address, `message type ${type} came`]);
      throw trustErrors.TRUST_RENEWAL_REFUSED([connection.peer, reader.string()]);
    } finally {
      connection.close();
    }
  };
}

/** For the process that holds the authority: its own certificate, without a link. */
export function renewFrom(authority: ClusterAuthority): Renew {
  return async (request) => authority.sign(await readRequest(request));
}
