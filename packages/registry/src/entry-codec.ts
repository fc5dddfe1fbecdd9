/**
 * What keys and values may be, for every implementation alike. Keys are printable ASCII, so that the order of strings in
 * JavaScript, of bytes in SQLite and of bytes in etcd is the same one.
 */
import { registryErrors } from './errors.ts';

/** Enough for a volume's document with its 6,400 protection groups. */
export const VALUE_BYTES_MAX = 8 * 1024 * 1024;
/** Greater than any character of a key: the keys under a prefix lie below prefix + this. */
export const PREFIX_END = '\u007f';

/** @throws REGISTRY_BAD_KEY */
export function checkKey(key: string): void {
  if (!/^[!-~]{1,512}$/.test(key)) throw registryErrors.REGISTRY_BAD_KEY([key]);
}

/** A prefix may be empty: then it stands for all keys. @throws REGISTRY_BAD_KEY */
export function checkPrefix(prefix: string): void {
  if (prefix !== '') checkKey(prefix);
}

/** @throws REGISTRY_BAD_VALUE where it is no JSON, or too long */
export function encodeValue(key: string, value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw registryErrors.REGISTRY_BAD_VALUE([key, String(error)], { cause: error });
  }
  if (text === undefined) throw registryErrors.REGISTRY_BAD_VALUE([key, `${typeof value} is not JSON`]);
  const bytes = Buffer.byteLength(text);
  if (bytes > VALUE_BYTES_MAX)
    throw registryErrors.REGISTRY_BAD_VALUE([key, `${bytes} bytes, ${VALUE_BYTES_MAX} are allowed`]);
  return text;
}
