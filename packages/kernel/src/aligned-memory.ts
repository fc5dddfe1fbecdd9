/**
 * Memory that begins at a page of the machine, as direct I/O wants it. JavaScript has no other that is said to: what a typed array is
 * given begins wherever the allocator likes. A WebAssembly memory is mapped by itself.
 */

/** Part of every Node, and not of its types. */
declare const WebAssembly: {
  readonly Memory: new (pages: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
};

const WASM_PAGE_BYTES = 65_536;

const aligned = new WeakSet<ArrayBufferLike>();

/** At least 64 KiB are taken of the machine once they are written to. Plain memory where there is no address space for it. */
export function alignedMemory(bytes: number): Uint8Array {
  const pages = Math.ceil(bytes / WASM_PAGE_BYTES);
  try {
    const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages });
    aligned.add(buffer);
    return new Uint8Array(buffer, 0, bytes);
  } catch (error) {
    if (error instanceof RangeError) return new Uint8Array(bytes);
    throw error;
  }
}

/** Whether these bytes are of such memory, and begin and end at a multiple of `alignment`. */
export function isAligned(bytes: Uint8Array, alignment: number): boolean {
  return aligned.has(bytes.buffer) && bytes.byteOffset % alignment === 0 && bytes.length % alignment === 0;
}
