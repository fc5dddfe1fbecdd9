/**
 * Reads what JSON or CBOR gave as the schema has it. The SDK's own reader is a client's: it trusts the server, lets a
 * wrong type pass and keeps unknown members where `__type` stands beside them. This one is strict: a value either has the
 * type of its schema or is refused by its path; unknown members are left out, as AWS does; null is no value.
 */
import type { NormalizedSchema } from '@smithy/core/schema';
import { Failure } from '../failures.ts';
import { DEPTH_MAX, traitsOf } from './schema.ts';
import { readTimestamp, TIMESTAMP } from './timestamp.ts';

export interface DocumentForm {
  /** Whether members go by their `jsonName`, as restJson1 has it. */
  readonly jsonNames: boolean;
  /** How blobs and numbers that text cannot hold arrive. */
  readonly binary: boolean;
}

type Plain = Record<string, unknown>;

/** @throws Failure wrongType, naming the path of the value */
export function readDocument(
  schema: NormalizedSchema,
  value: unknown,
  form: DocumentForm,
  path = '',
): unknown {
  return read({ schema, value, path, depth: 0 }, form);
}

interface At {
  readonly schema: NormalizedSchema;
  readonly value: unknown;
  readonly path: string;
  readonly depth: number;
}

function read(at: At, form: DocumentForm): unknown {
  if (at.depth > DEPTH_MAX)
    throw new Failure('malformed', `${at.path} is nested deeper than ${DEPTH_MAX} levels`);
  const { schema } = at;
  if (schema.isStructSchema()) return readStructure(at, form);
  if (schema.isListSchema()) return readList(at, form);
  if (schema.isMapSchema()) return readMap(at, form);
  if (schema.isDocumentSchema()) return readFree(at.value, at.path, at.depth);
  return readScalar(at, form);
}

function readStructure(at: At, form: DocumentForm): Plain {
  const given = asObject(at);
  const out: Plain = {};
  for (const [name, schema] of at.schema.structIterator()) {
    const key = form.jsonNames ? (traitsOf(schema).jsonName ?? name) : name;
    const value = Object.hasOwn(given, key) ? given[key] : undefined;
    if (value === undefined || value === null) continue;
    out[name] = read({ schema, value, path: joined(at.path, key), depth: at.depth + 1 }, form);
  }
  if (at.schema.isUnionSchema() && Object.keys(out).length !== 1)
    throw new Failure('wrongType', `${named(at.path)} must have exactly one of its members set`);
  return out;
}

function readList(at: At, form: DocumentForm): unknown[] {
  if (!Array.isArray(at.value)) throw wrong(at, 'a list');
  const schema = at.schema.getValueSchema();
  return at.value.map((value: unknown, index) =>
    value === null ? null : read({ schema, value, path: `${at.path}[${index}]`, depth: at.depth + 1 }, form),
  );
}

function readMap(at: At, form: DocumentForm): Plain {
  const schema = at.schema.getValueSchema();
  const out: Plain = {};
  for (const [key, value] of Object.entries(asObject(at))) {
    const read1 =
      value === null ? null : read({ schema, value, path: joined(at.path, key), depth: at.depth + 1 }, form);
    setOwn(out, key, read1);
  }
  return out;
}

function readScalar(at: At, form: DocumentForm): unknown {
  const { schema, value } = at;
  if (schema.isStringSchema()) return typeof value === 'string' ? value : refuse(at, 'a string');
  if (schema.isBooleanSchema()) return typeof value === 'boolean' ? value : refuse(at, 'true or false');
  if (schema.isNumericSchema()) return readNumber(at);
  if (schema.isTimestampSchema()) return readTime(at, form);
  if (schema.isBlobSchema()) return readBlob(at, form);
  if (schema.isBigIntegerSchema()) return readBigInteger(at);
  if (schema.isBigDecimalSchema())
    return typeof value === 'number' || typeof value === 'string' ? String(value) : refuse(at, 'a number');
  return refuse(at, 'of a known type');
}

function readNumber(at: At): number {
  const { value } = at;
  if (typeof value === 'number') return value;
  // Text stands for what JSON has no number for.
  if (value === 'NaN' || value === 'Infinity' || value === '-Infinity') return Number(value);
  throw wrong(at, 'a number');
}

function readBigInteger(at: At): bigint {
  const { value } = at;
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value === 'string' && /^-?\d{1,40}$/.test(value)) return BigInt(value);
  throw wrong(at, 'an integer');
}

function readBlob(at: At, form: DocumentForm): Uint8Array {
  if (form.binary && at.value instanceof Uint8Array) return at.value;
  if (typeof at.value === 'string' && isBase64(at.value)) return Buffer.from(at.value, 'base64');
  throw wrong(at, form.binary ? 'a byte string' : 'text in base64');
}

function readTime(at: At, form: DocumentForm): Date {
  if (form.binary && at.value instanceof Date) return at.value;
  const date = readTimestamp(at.schema, at.value, TIMESTAMP.epochSeconds);
  return date ?? refuse(at, 'a timestamp');
}

/** A value of no schema: kept as it is, if it is not too deep. */
function readFree(value: unknown, path: string, depth: number): unknown {
  if (depth > DEPTH_MAX) throw new Failure('malformed', `${path} is nested deeper than ${DEPTH_MAX} levels`);
  if (Array.isArray(value)) return value.map((item) => readFree(item, path, depth + 1));
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value instanceof Date)
    return value;
  const out: Plain = {};
  for (const [key, item] of Object.entries(value)) setOwn(out, key, readFree(item, path, depth + 1));
  return out;
}

export function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}

/** Sets a member even where its name is `__proto__`, which an assignment would take for the prototype. */
export function setOwn(of: Plain, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(of, key, { value, enumerable: true, writable: true, configurable: true });
  else of[key] = value;
}

function asObject(at: At): Plain {
  const { value } = at;
  if (
    typeof value !== 'object' ||
    value === null ||
    Array.isArray(value) ||
    value instanceof Uint8Array ||
    value instanceof Date
  )
    throw wrong(at, 'an object');
  return value as Plain;
}

function wrong(at: At, expected: string): Failure {
  return new Failure('wrongType', `${named(at.path)} must be ${expected}`);
}

function refuse(at: At, expected: string): never {
  throw wrong(at, expected);
}

const named = (path: string) => (path === '' ? 'the request' : path);
const joined = (path: string, name: string) => (path === '' ? name : `${path}.${name}`).slice(0, 256);
