/**
 * Copying to and from memory that threads may share. V8 copies such memory a word at a time where both ends stand alike to a word, and else
 * byte by byte; it always fills it byte by byte (shared-bytes.bench.ts). So a long piece goes by way of memory of this thread's own that
 * stands as the shared end does. Memory that nobody shares is copied as ever.
 */
import { PAGE_SIZE } from './brands.ts';

const WORD_BYTES = 8;
/** Of shorter pieces the way round costs more. */
const SHORT_BYTES = 512;
const ZEROES = new Uint8Array(PAGE_SIZE);
const between = new Uint8Array(PAGE_SIZE + WORD_BYTES);

/** As `target.set(source, at)`, of memory that does not overlap. */
export function copyBytes(target: Uint8Array, source: Uint8Array, at = 0): void {
  const { length } = source;
  const start = target.byteOffset + at;
  const isStraight = (start - source.byteOffset) % WORD_BYTES === 0;
  if (length < SHORT_BYTES || isStraight || !(isShared(target) || isShared(source)))
    return target.set(source, at);
  const skew = (isShared(target) ? start : source.byteOffset) % WORD_BYTES;
  for (let from = 0; from < length; from += PAGE_SIZE) {
    const piece = source.subarray(from, from + PAGE_SIZE);
    const laid = between.subarray(skew, skew + piece.length);
    laid.set(piece);
    target.set(laid, at + from);
  }
}

/** As `target.fill(0)`. */
export function clearBytes(target: Uint8Array): void {
  if (!isShared(target)) return void target.fill(0);
  for (let at = 0; at < target.length; at += PAGE_SIZE)
    target.set(target.length - at < PAGE_SIZE ? ZEROES.subarray(0, target.length - at) : ZEROES, at);
}

function isShared({ buffer }: Uint8Array): boolean {
  return buffer instanceof SharedArrayBuffer;
}
