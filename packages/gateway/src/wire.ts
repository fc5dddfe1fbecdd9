/** Plain shapes of one HTTP exchange: all that codecs and signatures see of it. */
import type { Readable } from 'node:stream';

export interface WireRequest {
  readonly method: string;
  /** As it was sent: percent-encoded, with a leading slash, without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Names in lower case; lines of one name joined by a comma, in their order. HTTP/2's `:authority` is there by either name. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export interface WireResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | Readable;
}

/** The path as a signature and a route see it: no empty, `.` or `..` segments, so that one cannot be taken for the other. */
export function normalizedPath(path: string): string {
  const kept: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(segment);
  }
  return kept.length === 0 ? '/' : `/${kept.join('/')}${path.endsWith('/') ? '/' : ''}`;
}

/** Names in lower case and values, from the flat list that Node keeps of what was sent. */
export function headersOf(raw: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i].toLowerCase();
    if (name.startsWith(':') && name !== ':authority') continue;
    headers[name] = name in headers ? `${headers[name]},${raw[i + 1]}` : raw[i + 1];
  }
  const authority = headers[':authority'];
  if (authority !== undefined) headers['host'] ??= authority;
  return headers;
}
