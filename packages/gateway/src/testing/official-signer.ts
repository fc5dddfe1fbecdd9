/** The official signer, as the oracle of ours: what it signs must verify, and nothing else. */
import { Sha256 } from '@smithy/core/checksum';
import { HttpRequest } from '@smithy/core/protocols';
import { SignatureV4 } from '@smithy/signature-v4';
import type { Credential } from '../identity.ts';
import type { WireRequest } from '../wire.ts';
import { searchOf } from './official-client.ts';

export interface ToSign {
  readonly method?: string;
  readonly path?: string;
  readonly query?: Record<string, string | string[]>;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
  readonly service?: string;
  readonly region?: string;
  readonly atMs: number;
  readonly credential: Credential;
  /** Seconds: makes a presigned URL of it. */
  readonly expiresIn?: number;
}

export async function signed(of: ToSign): Promise<WireRequest> {
  const body = of.body ?? '';
  const request = new HttpRequest({
    method: of.method ?? 'POST',
    protocol: 'http:',
    hostname: '127.0.0.1',
    port: 4566,
    path: of.path ?? '/',
    query: of.query ?? {},
    headers: { host: '127.0.0.1:4566', ...of.headers },
    body,
  });
  const { accessKeyId, secretAccessKey, sessionToken } = of.credential;
  const signer = new SignatureV4({
    service: of.service ?? 'rds',
    region: of.region ?? 'us-east-1',
    sha256: Sha256,
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
  });
  const signingDate = new Date(of.atMs);
  const sent =
    of.expiresIn === undefined
      ? await signer.sign(request, { signingDate })
      : await signer.presign(request, { signingDate, expiresIn: of.expiresIn });
  return {
    method: sent.method,
    path: sent.path,
    query: searchOf(sent.query),
    headers: Object.fromEntries(
      Object.entries(sent.headers).map(([name, value]) => [name.toLowerCase(), value]),
    ),
    body: Buffer.from(body),
  };
}
