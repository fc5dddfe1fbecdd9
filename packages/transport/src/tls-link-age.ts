/**
 * A link does not outlive the certificate of its other side: authority that was given for a month ends after a month,
 * for a link that stands as for a new one. Whoever has renewed meanwhile connects again and goes on.
 *
 * The links of one certificate do not all end at the same moment: the end is drawn from the last sixth of its life, after
 * the time of renewal, so that a writer does not lose its six nodes at once.
 */
import type * as net from 'node:net';
import type { Clock, Random } from '@rokka/kernel';
import type { Connection } from './connection.ts';
import { transportErrors } from './errors.ts';
import type { PeerIdentity } from './peer-identity.ts';
import { shownTime } from './tls-failures.ts';

/** The wall clock may be set meanwhile, and a timer takes no more than 24 days. */
const LOOK_MS_MAX = 3_600_000;
const DRAW_STEPS = 1_000_000;

export interface LinkAgeOptions {
  connection: Connection;
  socket: net.Socket;
  peer: PeerIdentity;
  clock: Clock;
  random: Random;
}

export function endWithCertificate({ connection, socket, peer, clock, random }: LinkAgeOptions): void {
  const endMs = linkEndMs(peer, clock.wallMs(), random);
  let cancel = () => {};
  const look = (): void => {
    const leftMs = endMs - clock.wallMs();
    if (leftMs <= 0)
      return connection.close(
        transportErrors.TRANSPORT_TLS_LINK_AGED([connection.peer, shownTime(peer.validToMs)]),
      );
    cancel = clock.after(Math.min(leftMs, LOOK_MS_MAX), look);
  };
  socket.once('close', () => cancel());
  look();
}

/** Wall clock at which a link that is made at `nowMs` ends. */
export function linkEndMs(
  { validFromMs, validToMs }: Pick<PeerIdentity, 'validFromMs' | 'validToMs'>,
  nowMs: number,
  random: Random,
): number {
  const spreadMs = Math.min((validToMs - validFromMs) / 6, (validToMs - nowMs) / 2);
  return validToMs - (spreadMs * random.below(DRAW_STEPS)) / DRAW_STEPS;
}
