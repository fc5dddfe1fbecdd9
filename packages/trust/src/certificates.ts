/**
 * X.509, by way of @peculiar/x509: what Rokka puts into certificates and requests, and what it takes out of requests.
 * Keys are ECDSA on P-256; all texts are PEM. Requests come from strangers: whatever is wrong with one ends in
 * TRUST_BAD_REQUEST. Certificates themselves are verified by OpenSSL alone, in `transport`.
 */
import 'reflect-metadata';
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  type webcrypto,
} from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import { isCoded } from '@rokka/kernel';
import { identityUri, normalHost, parseIdentityUri, type MemberIdentity } from '@rokka/transport';
import { trustErrors } from './errors.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const SUBJECT_ALTERNATIVE_NAMES = '2.5.29.17';
/** A request of ours has about 500 characters, and up to 340 more for each host. */
export const REQUEST_CHARACTERS_MAX = 16 * 1024;
const HOSTS_MAX = 32;
/** RFC 1123 labels, and the underscore that container names have. */
const HOST_NAME =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

export interface SigningKey {
  readonly certificate: string;
  readonly key: string;
}

/** Wall clock, milliseconds since 1970; what a certificate says of it is cut to seconds. */
export interface Validity {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What a request asks for. Its holder has proven that he has the key, and nothing else. */
export interface CertificateRequest {
  readonly identity: MemberIdentity;
  readonly hosts: readonly string[];
  readonly publicKey: KeyObject;
}

/** A new private key. */
export function makeKey(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return String(privateKey.export({ type: 'pkcs8', format: 'pem' }));
}

/** SHA-256 of the key's SubjectPublicKeyInfo in base64url: the pin of RFC 7469 §2.4, without padding. */
export const keyPin = (publicKey: KeyObject): string =>
  createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url');

/** Hosts in their usual form, each once. @throws TRUST_BAD_HOST */
export function normalHosts(hosts: readonly string[]): string[] {
  const normal = new Set<string>();
  for (const host of hosts) {
    const name = normalHost(host);
    if (isIP(name) === 0 && !HOST_NAME.test(name)) throw trustErrors.TRUST_BAD_HOST([host]);
    normal.add(name);
  }
  if (normal.size > HOSTS_MAX)
    throw trustErrors.TRUST_BAD_HOST([`${normal.size} hosts, ${HOSTS_MAX} may be`]);
  return [...normal];
}

/** A PKCS #10 request (RFC 2986) for `identity`, signed with `key`. @throws TRUST_BAD_HOST */
export async function makeRequest(asked: {
  key: string;
  identity: MemberIdentity;
  hosts: readonly string[];
}): Promise<string> {
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: subjectOf(asked.identity),
    keys: { privateKey: signer(asked.key), publicKey: verifier(createPublicKey(asked.key)) },
    signingAlgorithm: ALGORITHM,
    extensions: [alternativeNames(asked.identity, normalHosts(asked.hosts))],
  });
  return `${request.toString('pem')}\n`;
}

/** @throws TRUST_BAD_REQUEST */
export async function readRequest(text: string): Promise<CertificateRequest> {
  const bad = (why: string, cause?: unknown) => trustErrors.TRUST_BAD_REQUEST([why], { cause });
  if (text.length > REQUEST_CHARACTERS_MAX) throw bad(`it has ${text.length} characters`);
  try {
    const request = new x509.Pkcs10CertificateRequest(text);
    const publicKey = createPublicKey({
      key: Buffer.from(request.publicKey.rawData),
      format: 'der',
      type: 'spki',
    });
    if (publicKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw bad('its key is not of P-256');
    if (!(await request.verify())) throw bad('it is not signed by its own key');
    return { ...namesOf(request), publicKey };
  } catch (error) {
    if (isCoded(error, 'TRUST_BAD_REQUEST')) throw error;
    throw bad(error instanceof Error ? error.message : String(error), error);
  }
}

function namesOf(request: x509.Pkcs10CertificateRequest): Pick<CertificateRequest, 'identity' | 'hosts'> {
  const bad = (why: string) => trustErrors.TRUST_BAD_REQUEST([why]);
  const extension = request.extensions.find(({ type }) => type === SUBJECT_ALTERNATIVE_NAMES);
  if (!extension) throw bad('it has no subject alternative names');
  const names = new x509.SubjectAlternativeNameExtension(extension.rawData).names.items;
  const identities = names.filter(({ type }) => type === 'url').map(({ value }) => parseIdentityUri(value));
  const hosts = names.filter(({ type }) => type === 'dns' || type === 'ip').map(({ value }) => value);
  if (identities.length + hosts.length !== names.length) throw bad('it has names of other kinds');
  const [identity] = identities;
  if (!identity || identities.length !== 1)
    throw bad('it does not name one member (rokka://cluster/role/id)');
  return { identity, hosts: normalHosts(hosts) };
}

/** The certificate of a new authority, signed by its own key. */
export async function makeAuthorityCertificate(of: {
  cluster: string;
  key: string;
  serial: string;
  validity: Validity;
}): Promise<string> {
  const publicKey = verifier(createPublicKey(of.key));
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    // The key's own name is in it, so that two authorities of one cluster are told apart.
    name: `CN=Rokka authority ${keyPin(createPublicKey(of.key)).slice(0, 8)}, O=${of.cluster}`,
    keys: { privateKey: signer(of.key), publicKey },
    signingAlgorithm: ALGORITHM,
    serialNumber: of.serial,
    notBefore: new Date(of.validity.fromMs),
    notAfter: new Date(of.validity.toMs),
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

/** A member's certificate, by the authority `by`. */
export async function signCertificate(
  request: CertificateRequest,
  by: SigningKey,
  given: { serial: string; validity: Validity },
): Promise<string> {
  const { identity, hosts } = request;
  const issuer = new x509.X509Certificate(by.certificate);
  const publicKey = verifier(request.publicKey);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: subjectOf(identity),
    issuer: issuer.subject,
    publicKey,
    signingKey: signer(by.key),
    signingAlgorithm: ALGORITHM,
    serialNumber: given.serial,
    notBefore: new Date(given.validity.fromMs),
    notAfter: new Date(given.validity.toMs),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usagesOf(identity)),
      alternativeNames(identity, hosts),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(await issuer.publicKey.export()),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

/** A person's certificate serves nobody: OpenSSL refuses it on the listening side. */
function usagesOf({ role }: MemberIdentity): string[] {
  const { clientAuth, serverAuth } = x509.ExtendedKeyUsage;
  return role === 'admin' ? [clientAuth] : [clientAuth, serverAuth];
}

const subjectOf = ({ cluster, role, id }: MemberIdentity) => `CN=${role} ${id}, O=${cluster}`;

const alternativeNames = (identity: MemberIdentity, hosts: readonly string[]) =>
  new x509.SubjectAlternativeNameExtension([
    { type: 'url', value: identityUri(identity) },
    ...hosts.map((value) => ({ type: isIP(value) ? ('ip' as const) : ('dns' as const), value })),
  ]);

const signer = (key: string): webcrypto.CryptoKey =>
  createPrivateKey(key).toCryptoKey(ALGORITHM, false, ['sign']);

const verifier = (key: KeyObject): webcrypto.CryptoKey => key.toCryptoKey(ALGORITHM, true, ['verify']);
