/**
 * What a head on a joined machine asks the desk for, because registry and archive are the first machine's: a call is a line of JSON with
 * bytes behind it, and so is its answer. And what such a head may ask for. Pure.
 */
import { ByteReader, ByteWriter } from '@rokka/kernel';
import { decodeAnswer } from '../desk-messages.ts';

export type HeadCall =
  | { readonly what: 'registry-get'; readonly key: string }
  | { readonly what: 'registry-list'; readonly prefix: string }
  | {
      readonly what: 'registry-put';
      readonly key: string;
      readonly value: unknown;
      readonly expected: number;
    }
  /** A piece of an object of `total` bytes, one after the other; it is there when the last one has come. */
  | { readonly what: 'store-put'; readonly key: string; readonly at: number; readonly total: number }
  | { readonly what: 'store-read'; readonly key: string; readonly at: number; readonly length: number }
  | { readonly what: 'store-list'; readonly prefix: string };

/** Of an object that goes over in pieces: two fit into a frame. */
export const PIECE_BYTES_MAX = 4 * 1024 * 1024;
/** More than a layer of an archive has. */
export const OBJECT_BYTES_MAX = 256 * 1024 * 1024;

export type CallRights =
  | 'yes'
  | 'no'
  /** It reads another volume's archive: yes, where its own volume was made from that. */
  | { readonly ifMadeFrom: string };

/** Of the head that may have this volume and no other. */
export function rightsTo(call: HeadCall, volume: string): CallRights {
  switch (call.what) {
    case 'registry-list':
      return call.prefix === 'nodes/' ? 'yes' : 'no';
    case 'registry-get':
    case 'registry-put':
      return [`volumes/${volume}`, `archive-ends/${volume}`].includes(call.key) ? 'yes' : 'no';
    case 'store-put':
      return archiveOf(call.key) === volume ? 'yes' : 'no';
    case 'store-read':
      return toRead(call.key, volume);
    case 'store-list':
      return toRead(call.prefix, volume);
    default:
      return 'no';
  }
}

function toRead(key: string, volume: string): CallRights {
  const archive = archiveOf(key);
  if (archive === undefined) return 'no';
  return archive === volume ? 'yes' : { ifMadeFrom: archive };
}

/** Whose archive a key, or a prefix of keys, lies in. A key that climbs out of it is in none. */
function archiveOf(key: string): string | undefined {
  if (key.split('/').includes('..')) return undefined;
  return /^volumes\/([a-z0-9-]+)\//.exec(key)?.[1];
}

/** In parts, for `send`. */
export function encodeCall(call: unknown, bytes: readonly Uint8Array[] = []): Uint8Array[] {
  return [new ByteWriter().string(JSON.stringify(call)).finish(), ...bytes];
}

/** Undefined where it has another form. @param body is not kept */
export function decodeCall(body: Uint8Array): { call: HeadCall; bytes: Uint8Array } | undefined {
  const call = decodeAnswer(body);
  if (!call || !isCall(call)) return undefined;
  return { call, bytes: bytesBehind(body) };
}

export function bytesBehind(body: Uint8Array): Uint8Array {
  const reader = new ByteReader(body);
  reader.bytes();
  return reader.rest();
}

const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;

function isCall(said: Record<string, unknown>): said is HeadCall & Record<string, unknown> {
  const { what, key, prefix, at, total, length, expected, value } = said;
  switch (what) {
    case 'registry-get':
      return typeof key === 'string';
    case 'registry-put':
      return typeof key === 'string' && isCount(expected) && value !== undefined;
    case 'registry-list':
    case 'store-list':
      return typeof prefix === 'string';
    case 'store-put':
      return typeof key === 'string' && isCount(at) && isCount(total) && Number(total) <= OBJECT_BYTES_MAX;
    case 'store-read':
      return typeof key === 'string' && isCount(at) && isCount(length) && Number(length) <= PIECE_BYTES_MAX;
    default:
      return false;
  }
}
