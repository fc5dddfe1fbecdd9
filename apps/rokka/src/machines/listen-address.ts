/**
 * Where a machine listens for others. One address is said by a person; the ports that belong to it are counted from there:
 *
 *   PORT              machines join here, without a certificate yet
 *   PORT + 1          the desk: members are registered, certificates renewed
 *   PORT + 1 + N      storage node N
 *
 * A machine that joined has one storage node, which listens on PORT itself.
 */
import * as net from 'node:net';
import { isCoded } from '@rokka/kernel';
import { formatTlsAddress, parseTlsAddress } from '@rokka/transport';
import { rokkaErrors } from '../errors.ts';

export const LISTEN_PORT = 7600;
/** Leaves room for the ports that are counted from it. */
const PORT_MAX = 60_000;
const WANT = `HOST or HOST:PORT, a name or an address of this machine that the other machines reach, ports from 1 to ${PORT_MAX}`;

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** `HOST` or `HOST:PORT`. @throws ROKKA_BAD_VALUE */
export function parseListen(text: string): ListenAddress {
  const bad = () => rokkaErrors.ROKKA_BAD_VALUE(['listen', text, WANT]);
  const { id, host, port } = parsed(withPort(text), bad);
  if (id !== undefined || port < 1 || port > PORT_MAX || isAnywhere(host)) throw bad();
  return { host, port };
}

export const formatListen = ({ host, port }: ListenAddress): string => formatTlsAddress(host, port);

/** `host:port` of the desk. */
export const deskAddress = ({ host, port }: ListenAddress): string => formatTlsAddress(host, port + 1);

/** `host:port` of a storage node of the machine that made the cluster. */
export const nodeListenAddress = ({ host, port }: ListenAddress, ordinal: number): string =>
  formatTlsAddress(host, port + 1 + ordinal);

function withPort(text: string): string {
  if (net.isIPv6(text)) return formatTlsAddress(text, LISTEN_PORT);
  return /:\d+$/.test(text) ? text : `${text}:${LISTEN_PORT}`;
}

function parsed(address: string, bad: () => Error) {
  try {
    return parseTlsAddress(address);
  } catch (error) {
    if (!isCoded(error)) throw error;
    throw bad();
  }
}

/** The address that means all of a machine's: nobody can connect to it. */
const isAnywhere = (host: string) => /^[0.]+$/.test(host) || /^[:0]+$/.test(host);
