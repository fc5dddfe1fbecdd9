/**
 * A member's identity on disk: one PEM file, for its owner only and replaced as a whole, so that key, certificate and
 * authorities always fit each other. In it stand the private key, the certificate, then the authorities.
 */
import { createPrivateKey, type X509Certificate } from 'node:crypto';
import type { TlsIdentity } from '@rokka/transport';
import { trustErrors } from './errors.ts';
import { certificatesIn } from './issued.ts';
import { readOwnerFile, writeOwnerFile } from './owner-file.ts';

const KEY = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/;

/** Durable when it returns. @throws TRUST_FILE_FAILED */
export function writeIdentityFile(path: string, identity: TlsIdentity): void {
  const parts = [identity.key, identity.certificate, identity.authorities];
  writeOwnerFile(path, parts.map((part) => `${part.trim()}\n`).join(''));
}

/** @throws TRUST_FILE_MISSING, TRUST_FILE_OPEN, TRUST_FILE_UNREADABLE, TRUST_FILE_FAILED */
export function readIdentityFile(path: string): TlsIdentity {
  const text = readOwnerFile(path);
  const bad = (why: string, cause?: unknown) => trustErrors.TRUST_FILE_UNREADABLE([path, why], { cause });
  let certificates: X509Certificate[];
  let fits: boolean;
  const [key] = KEY.exec(text) ?? [];
  try {
    certificates = certificatesIn(text);
    fits = key !== undefined && (certificates[0]?.checkPrivateKey(createPrivateKey(key)) ?? false);
  } catch (error) {
    throw bad(error instanceof Error ? error.message : String(error), error);
  }
  const [certificate, ...authorities] = certificates;
  if (!fits || !certificate || key === undefined) throw bad('it does not hold a key and its certificate');
  if (authorities.length === 0 || !authorities.every(({ ca }) => ca)) throw bad('it holds no authority');
  return {
    key: `${key}\n`,
    certificate: certificate.toString(),
    authorities: authorities.map(String).join(''),
  };
}
