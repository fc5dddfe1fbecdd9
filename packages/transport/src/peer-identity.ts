/**
 * Who the members of a cluster are to each other. A certificate carries its holder as a URI among the subject
 * alternative names, `rokka://<cluster>/<role>/<id>` (the form that SPIFFE uses, RFC 3986), beside the host names and
 * addresses under which the holder may be found. Subject fields are for people; nothing is decided by them.
 */
import type { X509Certificate } from 'node:crypto';
import { isIP, SocketAddress } from 'node:net';
import { transportErrors } from './errors.ts';

/**
 * `authority`: holds the cluster's certificate authority, lets machines join and renews certificates; `node`: a storage
 * node; `head`: holds a database; `admin`: a person's commands.
 */
export const ROLES = ['authority', 'node', 'head', 'admin'] as const;
export type Role = (typeof ROLES)[number];

export interface MemberIdentity {
  readonly cluster: string;
  readonly role: Role;
  readonly id: string;
}

/** What a verified certificate says of its holder. */
export interface PeerIdentity extends MemberIdentity {
  /** DNS names and IP addresses under which the holder may serve. */
  readonly hosts: readonly string[];
  /** Wall clock, milliseconds since 1970. */
  readonly validFromMs: number;
  readonly validToMs: number;
}

const URI_SCHEME = 'rokka://';
const PART = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Whether `text` can be a cluster's or a member's id: 1 to 64 letters, digits, dots, dashes or underscores. */
export const isIdentityPart = (text: string): boolean => PART.test(text);

export const identityUri = ({ cluster, role, id }: MemberIdentity): string =>
  `${URI_SCHEME}${cluster}/${role}/${id}`;

/** Where a head runs that may have one volume and no other. */
export interface HeadPlacement {
  readonly volume: string;
  readonly machine: string;
}

/** The id of such a head. Neither part has a dot, and no other head's id has one. */
export const placedHeadId = ({ volume, machine }: HeadPlacement): string => `${volume}.${machine}`;

/** Undefined for a head that may have any volume. */
export function placementOf({ role, id }: MemberIdentity): HeadPlacement | undefined {
  const at = id.indexOf('.');
  return role === 'head' && at >= 0 ? { volume: id.slice(0, at), machine: id.slice(at + 1) } : undefined;
}

/** The identity that `uri` names, or undefined where it names none. */
export function parseIdentityUri(uri: string): MemberIdentity | undefined {
  if (!uri.startsWith(URI_SCHEME)) return undefined;
  const [cluster = '', roleName = '', id = '', ...more] = uri.slice(URI_SCHEME.length).split('/');
  const role = ROLES.find((name) => name === roleName);
  if (!role || more.length > 0 || !isIdentityPart(cluster) || !isIdentityPart(id)) return undefined;
  return { cluster, role, id };
}

/** An address in its one usual form; a name in lower case. */
export function normalHost(host: string): string {
  const version = isIP(host);
  if (version === 0) return host.toLowerCase();
  return new SocketAddress({ address: host, family: version === 6 ? 'ipv6' : 'ipv4' }).address;
}

/**
 * What `certificate`, whose chain was verified, says of its holder.
 *
 * @throws TRANSPORT_TLS_NO_IDENTITY where it does not name exactly one
 */
export function identityOfCertificate(certificate: X509Certificate, peer: string): PeerIdentity {
  const names = certificate.subjectAltName ?? '';
  const refuse = () => transportErrors.TRANSPORT_TLS_NO_IDENTITY([peer, names || 'no names']);
  // Node quotes a name that holds a comma or a quote; the cluster's authority signs none, and splitting must not be fooled.
  if (names.includes('"')) throw refuse();
  const entries = names.split(', ');
  const valuesOf = (kind: string) =>
    entries.filter((entry) => entry.startsWith(kind)).map((entry) => entry.slice(kind.length));
  const uris = valuesOf('URI:').filter((uri) => uri.startsWith(URI_SCHEME));
  const identity = parseIdentityUri(uris[0] ?? '');
  if (uris.length !== 1 || !identity) throw refuse();
  return {
    ...identity,
    hosts: [...valuesOf('DNS:'), ...valuesOf('IP Address:')].map(normalHost),
    validFromMs: certificate.validFromDate.getTime(),
    validToMs: certificate.validToDate.getTime(),
  };
}
