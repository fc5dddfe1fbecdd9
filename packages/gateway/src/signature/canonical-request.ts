/**
 * The canonical request: the one text that the signer and the server make of a request, each by itself.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
import { hash } from 'node:crypto';
import { normalizedPath, type WireRequest } from '../wire.ts';

export interface CanonicalOptions {
  readonly signedHeaders: readonly string[];
  readonly payloadHash: string;
}

export function canonicalRequest(request: WireRequest, options: CanonicalOptions): string {
  const headers = options.signedHeaders.map((name) => `${name}:${trimmed(request.headers[name] ?? '')}\n`);
  return [
    request.method,
    // Encoded once more than it is sent: every service but S3, which is none of ours, has it so.
    normalizedPath(request.path).split('/').map(encode).join('/'),
    canonicalQuery(request.query),
    headers.join(''),
    options.signedHeaders.join(';'),
    options.payloadHash,
  ].join('\n');
}

export function sha256(data: string | Buffer): string {
  return hash('sha256', data, 'hex');
}

function trimmed(value: string): string {
  return value.replace(/[ \t]+/g, ' ').replace(/^ | $/g, '');
}

/** Sorted by key and then by value, not as text: `a=` goes before `a-b=1`, although `=` comes after `-`. */
function canonicalQuery(query: URLSearchParams): string {
  return [...query]
    .filter(([key]) => key !== 'X-Amz-Signature')
    .map(([key, value]) => [encode(key), encode(value)] as const)
    .sort((a, b) => order(a[0], b[0]) || order(a[1], b[1]))
    .map(([key, value]) => `${key}=${value}`)
    .join('&');
}

function order(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Everything but unreserved characters, RFC 3986. */
function encode(text: string): string {
  // A lone half of a surrogate pair has no encoding; it is signed by nobody.
  return encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
