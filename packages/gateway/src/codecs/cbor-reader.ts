/**
 * CBOR (RFC 8949) as rpcv2Cbor uses it, read from strangers. The SDK's reader is made for answers of a trusted server: a
 * short tag lets it build a number of megabytes or a string of 256 MB. This one takes time and memory in proportion to the
 * input: lengths are checked against what is left, nesting is bounded, and big numbers are.
 */
import { Failure } from '../failures.ts';
import { setOwn } from './document-reader.ts';
import { DEPTH_MAX } from './schema.ts';

const BIG_NUMBER_BYTES_MAX = 32;
const BREAK = 0xff;

/** Text, numbers, bigints, booleans, null, byte strings, dates, lists and objects. @throws Failure malformed */
export function readCbor(bytes: Buffer): unknown {
  const reader = new CborReader(bytes);
  const value = reader.value(0);
  if (!reader.ended) throw malformed('bytes follow the value');
  return value;
}

class CborReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.#at === this.#bytes.length;
  }

  value(depth: number): unknown {
    if (depth > DEPTH_MAX) throw malformed(`nested deeper than ${DEPTH_MAX} levels`);
    const head = this.#byte();
    const [major, minor] = [head >> 5, head & 31];
    switch (major) {
      case 0:
        return narrowed(this.#argument(minor));
      case 1:
        return narrowed(-1n - BigInt(this.#argument(minor)));
      case 2:
        return minor === 31 ? Buffer.concat(this.#chunks(2)) : this.#take(this.#length(minor));
      case 3:
        return (minor === 31 ? Buffer.concat(this.#chunks(3)) : this.#take(this.#length(minor))).toString(
          'utf8',
        );
      case 4:
        return this.#list(minor, depth);
      case 5:
        return this.#map(minor, depth);
      case 6:
        return this.#tagged(Number(this.#argument(minor)), depth);
      default:
        return this.#simple(minor);
    }
  }

  #list(minor: number, depth: number): unknown[] {
    const items: unknown[] = [];
    if (minor === 31) while (!this.#broken()) items.push(this.value(depth + 1));
    // Each item takes a byte at least, so a length beyond the input ends at the input.
    else for (let left = this.#length(minor); left > 0; left--) items.push(this.value(depth + 1));
    return items;
  }

  #map(minor: number, depth: number): Record<string, unknown> {
    const out: Record<string, unknown> = {};
    const entry = () => {
      const key = this.value(depth + 1);
      if (typeof key !== 'string') throw malformed('a key is not text');
      setOwn(out, key, this.value(depth + 1));
    };
    if (minor === 31) while (!this.#broken()) entry();
    else for (let left = this.#length(minor); left > 0; left--) entry();
    return out;
  }

  #tagged(tag: number, depth: number): unknown {
    const value = this.value(depth + 1);
    if (tag === 1 && typeof value === 'number') {
      const date = new Date(Math.round(value * 1000));
      if (Number.isNaN(date.getTime())) throw malformed('a time is out of range');
      return date;
    }
    if ((tag === 2 || tag === 3) && Buffer.isBuffer(value)) {
      if (value.length > BIG_NUMBER_BYTES_MAX) throw malformed('a number is too long');
      const magnitude = BigInt(`0x${value.toString('hex') || '0'}`);
      return tag === 2 ? magnitude : -1n - magnitude;
    }
    throw malformed(`tag ${tag} is not understood`);
  }

  #simple(minor: number): unknown {
    switch (minor) {
      case 20:
        return false;
      case 21:
        return true;
      case 22:
      case 23:
        return null;
      case 25:
        return halfFloat(this.#take(2).readUInt16BE());
      case 26:
        return this.#take(4).readFloatBE();
      case 27:
        return this.#take(8).readDoubleBE();
      default:
        throw malformed(`simple value ${minor} is not understood`);
    }
  }

  #argument(minor: number): number | bigint {
    if (minor < 24) return minor;
    if (minor === 24) return this.#byte();
    if (minor === 25) return this.#take(2).readUInt16BE();
    if (minor === 26) return this.#take(4).readUInt32BE();
    if (minor === 27) return this.#take(8).readBigUInt64BE();
    throw malformed(`additional information ${minor} is not understood`);
  }

  #length(minor: number): number {
    const length = Number(this.#argument(minor));
    if (length > this.#bytes.length - this.#at) throw malformed('a length is beyond the end');
    return length;
  }

  #chunks(major: number): Buffer[] {
    const chunks: Buffer[] = [];
    while (!this.#broken()) {
      const head = this.#byte();
      if (head >> 5 !== major) throw malformed('a chunk has another type than its string');
      chunks.push(this.#take(this.#length(head & 31)));
    }
    return chunks;
  }

  #broken(): boolean {
    if (this.ended) throw malformed('the end is missing');
    if (this.#bytes[this.#at] !== BREAK) return false;
    this.#at++;
    return true;
  }

  #byte(): number {
    return this.#take(1)[0];
  }

  #take(count: number): Buffer {
    if (count > this.#bytes.length - this.#at) throw malformed('the end is missing');
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }
}

function narrowed(value: number | bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function halfFloat(bits: number): number {
  const sign = bits >> 15 ? -1 : 1;
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  if (exponent === 0) return sign * 2 ** -14 * (fraction / 1024);
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}

function malformed(why: string): Failure {
  return new Failure('malformed', `the request is not CBOR: ${why}`);
}
