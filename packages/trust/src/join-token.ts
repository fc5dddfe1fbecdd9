/**
 * The text that lets one machine join: `rokka-join-v1.` and, in base64url, where to go, whom to believe there, and a
 * secret. Layout (kernel codec): cluster, role, zone, member id (strings, empty where any), u8 count of addresses and
 * each as a string, u8 count of pins and each in 32 bytes, token id (8 bytes), secret (32 bytes), u64 expiry in wall
 * milliseconds, u32 CRC-32 of all before it: a token that was not copied whole is told from one that is not known.
 *
 * The secret is the seed of an Ed25519 key (RFC 8032). The cluster keeps the public half alone: whoever reads what the
 * cluster stores cannot join with it.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { ByteReader, ByteWriter, crc32, isCoded } from '@rokka/kernel';
import { isIdentityPart, ROLES, type Role } from '@rokka/transport';
import { trustErrors } from './errors.ts';

const PREFIX = 'rokka-join-v1.';
const TOKEN_CHARACTERS_MAX = 4096;
const TOKEN_ID_BYTES = 8;
const SECRET_BYTES = 32;
const PIN_BYTES = 32;
const LIST_MAX = 8;
/** PKCS #8 of an Ed25519 key is this and its seed (RFC 8410 §7). */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

export interface JoinToken {
  readonly cluster: string;
  readonly role: Role;
  /** Failure zone of the machine that joins; empty where the role has none. */
  readonly zone: string;
  /** The only id that may join, or undefined where the machine brings its own. */
  readonly memberId: string | undefined;
  /** Where the authority lets machines join, `host:port`. */
  readonly addresses: readonly string[];
  /** Of the cluster's authorities; see `keyPin`. */
  readonly pins: readonly string[];
  /** 16 hexadecimal digits; no secret. */
  readonly tokenId: string;
  /** 64 hexadecimal digits. */
  readonly secret: string;
  /** Wall clock. */
  readonly expiresAtMs: number;
}

export function encodeJoinToken(token: JoinToken): string {
  const bytes = new ByteWriter();
  bytes.string(token.cluster).string(token.role).string(token.zone);
  bytes.string(token.memberId ?? '');
  bytes.u8(token.addresses.length);
  for (const address of token.addresses) bytes.string(address);
  bytes.u8(token.pins.length);
  for (const pin of token.pins) bytes.raw(Buffer.from(pin, 'base64url'));
  bytes.raw(Buffer.from(token.tokenId, 'hex')).raw(Buffer.from(token.secret, 'hex')).u64(token.expiresAtMs);
  bytes.u32(crc32(bytes.view()));
  return PREFIX + Buffer.from(bytes.view()).toString('base64url');
}

/** White space around it and line ends within it, as terminals add them, do no harm. @throws TRUST_TOKEN_UNREADABLE */
export function decodeJoinToken(text: string): JoinToken {
  const bad = (why: string) => trustErrors.TRUST_TOKEN_UNREADABLE([why]);
  const compact = text.replaceAll(/\s/g, '');
  if (!compact.startsWith(PREFIX)) throw bad('it begins with something else');
  if (compact.length > TOKEN_CHARACTERS_MAX) throw bad(`it has ${compact.length} characters`);
  const bytes = Buffer.from(compact.slice(PREFIX.length), 'base64url');
  const end = bytes.length - 4;
  if (end < 0 || bytes.readUInt32LE(end) !== crc32(bytes.subarray(0, end)))
    throw bad('its checksum is wrong, a part is missing or changed');
  try {
    return decodeFields(new ByteReader(bytes.subarray(0, end)));
  } catch (error) {
    if (isCoded(error, 'TRUST_TOKEN_UNREADABLE')) throw error;
    throw bad('its parts are not where they should be');
  }
}

function decodeFields(bytes: ByteReader): JoinToken {
  const [cluster, roleName, zone, memberId] = [
    bytes.string(),
    bytes.string(),
    bytes.string(),
    bytes.string(),
  ];
  const role = ROLES.find((name) => name === roleName);
  const list = <T>(read: () => T) => Array.from({ length: Math.min(bytes.u8(), LIST_MAX) }, read);
  const addresses = list(() => bytes.string());
  const pins = list(() => Buffer.from(bytes.raw(PIN_BYTES)).toString('base64url'));
  const tokenId = Buffer.from(bytes.raw(TOKEN_ID_BYTES)).toString('hex');
  const secret = Buffer.from(bytes.raw(SECRET_BYTES)).toString('hex');
  const expiresAtMs = bytes.u64();
  const sound =
    bytes.left === 0 &&
    isIdentityPart(cluster) &&
    (zone === '' || isIdentityPart(zone)) &&
    (memberId === '' || isIdentityPart(memberId)) &&
    addresses.length > 0 &&
    pins.length > 0;
  if (!role || !sound) throw trustErrors.TRUST_TOKEN_UNREADABLE(['its parts do not fit']);
  return {
    cluster,
    role,
    zone,
    memberId: memberId || undefined,
    addresses,
    pins,
    tokenId,
    secret,
    expiresAtMs,
  };
}

/** The private key that the secret stands for. */
export const secretKey = (secret: string): KeyObject =>
  createPrivateKey({
    key: Buffer.concat([ED25519_PKCS8, Buffer.from(secret, 'hex')]),
    format: 'der',
    type: 'pkcs8',
  });

/** What the cluster keeps of the secret: the public key, raw, in base64url. */
export const secretVerifier = (secret: string): string => {
  const { x } = createPublicKey(secretKey(secret)).export({ format: 'jwk' });
  return String(x);
};

export const verifierKey = (verifier: string): KeyObject =>
  createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: verifier }, format: 'jwk' });
