/** Certificates for tests of the TLS network: an authority in memory that signs whatever it is asked to. */
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import { identityUri, type Role } from '../peer-identity.ts';
import type { TlsIdentity } from '../tls-credentials.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const HOUR_MS = 3_600_000;

const makeKeys = () => webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);

export interface TestMember {
  cluster?: string;
  role?: Role;
  id?: string;
  hosts?: string[];
  /** Relative to now. */
  validFromMs?: number;
  validToMs?: number;
  /** In place of the identity's own. */
  uris?: string[];
}

export class TestAuthority {
  readonly cluster: string;
  readonly certificate: string;
  readonly #keys: webcrypto.CryptoKeyPair;
  readonly #subject: string;

  private constructor(
    cluster: string,
    made: { certificate: string; keys: webcrypto.CryptoKeyPair; subject: string },
  ) {
    this.cluster = cluster;
    this.certificate = made.certificate;
    this.#keys = made.keys;
    this.#subject = made.subject;
  }

  static async make(
    cluster = 'petals',
    subject = `CN=authority ${randomBytes(4).toString('hex')}`,
  ): Promise<TestAuthority> {
    const keys = await makeKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: subject,
      keys,
      notBefore: new Date(Date.now() - HOUR_MS),
      notAfter: new Date(Date.now() + HOUR_MS),
      extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
    });
    return new TestAuthority(cluster, { certificate: `${certificate.toString('pem')}\n`, keys, subject });
  }

  /** An identity that believes in this authority, unless `authorities` says otherwise. */
  async issue(member: TestMember = {}, authorities = this.certificate): Promise<TlsIdentity> {
    const signed = await sign(
      { cluster: this.cluster, ...member },
      { issuer: this.#subject, key: this.#keys.privateKey },
    );
    return { ...signed, authorities };
  }

  /** An identity that `member`, who is no authority, has signed for somebody with his own key. */
  async forge(by: TlsIdentity, member: TestMember): Promise<TlsIdentity> {
    const { subject } = new x509.X509Certificate(by.certificate);
    const key = await webcrypto.subtle.importKey(
      'pkcs8',
      x509.PemConverter.decodeFirst(by.key),
      ALGORITHM,
      false,
      ['sign'],
    );
    const signed = await sign({ cluster: this.cluster, ...member }, { issuer: subject, key });
    return {
      ...signed,
      certificate: signed.certificate + '\n' + by.certificate,
      authorities: this.certificate,
    };
  }
}

async function sign(
  member: TestMember,
  by: { issuer: string; key: webcrypto.CryptoKey },
): Promise<Omit<TlsIdentity, 'authorities'>> {
  const { cluster = '', role = 'node', id = 'n1', hosts = ['127.0.0.1', '::1', 'localhost'] } = member;
  const { validFromMs = -60_000, validToMs = HOUR_MS / 2 } = member;
  const { uris = [identityUri({ cluster, role, id })] } = member;
  const keys = await makeKeys();
  const names = [
    ...uris.map((value) => ({ type: 'url' as const, value })),
    ...hosts.map((value) => ({ type: isIP(value) ? ('ip' as const) : ('dns' as const), value })),
  ];
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${role} ${id}`,
    issuer: by.issuer,
    publicKey: keys.publicKey,
    signingKey: by.key,
    signingAlgorithm: ALGORITHM,
    notBefore: new Date(Date.now() + validFromMs),
    notAfter: new Date(Date.now() + validToMs),
    extensions: [new x509.SubjectAlternativeNameExtension(names)],
  });
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return { certificate: certificate.toString('pem'), key: x509.PemConverter.encode(key, 'PRIVATE KEY') };
}
