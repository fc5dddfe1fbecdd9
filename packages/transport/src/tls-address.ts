/**
 * Addresses of the TLS network: `host:port`, where the host is a name, an IPv4 address or an IPv6 address in brackets.
 * Whoever connects may say whom he expects there: `n1@10.0.0.7:4100` refuses every member but n1.
 */
import { isIPv6 } from 'node:net';
import { transportErrors } from './errors.ts';
import { isIdentityPart } from './peer-identity.ts';

export interface TlsAddress {
  /** Id of the member that is expected there. */
  readonly id: string | undefined;
  readonly host: string;
  readonly port: number;
}

const NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\.?$/;

/** @throws TRANSPORT_BAD_ADDRESS */
export function parseTlsAddress(address: string): TlsAddress {
  const bad = (why: string) => transportErrors.TRANSPORT_BAD_ADDRESS([address, why]);
  const match = /^(?:(?<id>[^@]*)@)?(?:\[(?<v6>[^\]]*)\]|(?<name>[^:[\]@]*)):(?<port>\d{1,5})$/.exec(address);
  const { id, v6, name, port: digits } = match?.groups ?? {};
  if (digits === undefined) throw bad('it must be host:port, an IPv6 address in brackets');
  if (id !== undefined && !isIdentityPart(id)) throw bad(`${JSON.stringify(id)} can be nobody's id`);
  const port = Number(digits);
  if (port > 65_535) throw bad('ports go up to 65535');
  if (v6 !== undefined && !isIPv6(v6)) throw bad(`${JSON.stringify(v6)} is no IPv6 address`);
  if (name !== undefined && !NAME.test(name)) throw bad(`${JSON.stringify(name)} is no host`);
  return { id, host: v6 ?? name ?? '', port };
}

export const formatTlsAddress = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
