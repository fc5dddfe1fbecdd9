/** A message without an answer that goes to several connections: what it costs to lay it out, and to take its checksum, is paid once. */
import { bodyLength, frameVector } from './frame.ts';

export class SharedFrame {
  readonly type: number;
  readonly parts: readonly Uint8Array[];
  /** Of the body. */
  readonly length: number;
  #vector: readonly Uint8Array[] | undefined;

  /** @param parts not copied: they must not change until they have left each of the connections */
  constructor(type: number, parts: readonly Uint8Array[]) {
    this.type = type;
    this.parts = parts;
    this.length = bodyLength(parts);
  }

  /** What a stream carries. */
  get vector(): readonly Uint8Array[] {
    const { type, parts, length } = this;
    return (this.#vector ??= frameVector({ type, requestId: 0, parts, length }));
  }
}
