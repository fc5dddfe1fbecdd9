/**
 * An input as the audit may keep it: without what is secret, by the schema's own `sensitive` trait and, where a model lacks
 * it, by name; and cut to a bound, so that no request makes a record of megabytes.
 */
import type { NormalizedSchema } from '@smithy/core/schema';
import { setOwn } from './codecs/document-reader.ts';
import { traitsOf } from './codecs/schema.ts';

const HIDDEN = '***';
const SECRET_NAME =
  /password|passphrase|secret|privatekey|credential|^authtoken$|sessiontoken|securitytoken|keymaterial/i;
/** References to secrets have such names too, and are none. */
const NO_SECRET_NAME = /(arn|id|ids|status|name|kmskeyid)$|^manage/i;

const TEXT_MAX = 1024;
const LIST_MAX = 64;
const DEPTH_MAX = 16;
/** Characters of names and texts in one record. */
const BUDGET = 16_384;

export function redact(schema: NormalizedSchema, input: unknown): unknown {
  return new Redactor().value(input, { schema, name: '', depth: 0 });
}

interface Place {
  /** Undefined where the schema knows nothing of the value. */
  readonly schema: NormalizedSchema | undefined;
  readonly name: string;
  readonly depth: number;
}

class Redactor {
  #left = BUDGET;

  value(value: unknown, place: Place): unknown {
    if (value === undefined || value === null) return value;
    if (isSecret(place)) return HIDDEN;
    if (this.#left <= 0 || place.depth > DEPTH_MAX) return '…';
    if (typeof value === 'string') return this.#text(value);
    if (typeof value === 'bigint') return this.#text(String(value));
    if (value instanceof Date)
      return this.#text(Number.isNaN(value.getTime()) ? 'no time' : value.toISOString());
    if (value instanceof Uint8Array) return this.#text(`${value.length} bytes`);
    if (Array.isArray(value)) return this.#list(value, place);
    if (typeof value === 'object') return this.#members(value as Record<string, unknown>, place);
    this.#left -= 8;
    return value;
  }

  #list(values: readonly unknown[], { schema, name, depth }: Place): unknown[] {
    const item = schema?.isListSchema() ? schema.getValueSchema() : undefined;
    const out: unknown[] = [];
    for (const value of values.slice(0, LIST_MAX)) {
      if (this.#left <= 0) break;
      out.push(this.value(value, { schema: item, name, depth: depth + 1 }));
    }
    if (out.length < values.length) out.push(`… ${values.length - out.length} more`);
    return out;
  }

  #members(value: Record<string, unknown>, { schema, depth }: Place): Record<string, unknown> {
    const out: Record<string, unknown> = {};
    for (const [name, member] of Object.entries(value)) {
      if (this.#left <= 0) {
        out['…'] = 'cut';
        break;
      }
      this.#left -= name.length;
      setOwn(
        out,
        name.slice(0, TEXT_MAX),
        this.value(member, { schema: memberSchema(schema, name), name, depth: depth + 1 }),
      );
    }
    return out;
  }

  #text(text: string): string {
    const kept = text.slice(0, Math.min(TEXT_MAX, this.#left));
    this.#left -= kept.length + 8;
    return kept.length === text.length ? text : `${kept}… ${text.length - kept.length} more`;
  }
}

function isSecret({ schema, name }: Place): boolean {
  if (schema && traitsOf(schema).sensitive) return true;
  // A group of members is looked into: a secret is a text.
  if (schema && (schema.isStructSchema() || schema.isBooleanSchema() || schema.isNumericSchema()))
    return false;
  return SECRET_NAME.test(name) && !NO_SECRET_NAME.test(name);
}

function memberSchema(schema: NormalizedSchema | undefined, name: string): NormalizedSchema | undefined {
  if (schema?.isMapSchema()) return schema.getValueSchema();
  if (!schema?.isStructSchema()) return undefined;
  for (const [member, of] of schema.structIterator()) if (member === name) return of;
  return undefined;
}
