/**
 * Reads a form's tree as the schema has it: the inverse of the SDK's QueryShapeSerializer.
 * https://smithy.io/2.0/aws/protocols/aws-query-protocol.html, …/aws-ec2-query-protocol.html
 */
import type { NormalizedSchema } from '@smithy/core/schema';
import { Failure } from '../failures.ts';
import { isBase64, setOwn } from './document-reader.ts';
import { FormNode, isListIndex } from './form.ts';
import { DEPTH_MAX, traitsOf } from './schema.ts';
import { readTimestamp, TIMESTAMP } from './timestamp.ts';

/** What is no member of any input. */
const OF_EVERY_CALL = ['Action', 'Version'];

interface At {
  readonly schema: NormalizedSchema;
  readonly node: FormNode;
  readonly path: string;
  readonly depth: number;
}

/** @throws Failure wrongType, unknownParameter, naming the parameter */
export function readForm(schema: NormalizedSchema, node: FormNode, dialect: 'query' | 'ec2'): unknown {
  return read({ schema, node, path: '', depth: 0 }, dialect === 'ec2');
}

function read(at: At, ec2: boolean): unknown {
  if (at.depth > DEPTH_MAX)
    throw new Failure('malformed', `${at.path} is nested deeper than ${DEPTH_MAX} levels`);
  if (at.schema.isStructSchema()) return readStructure(at, ec2);
  if (at.schema.isListSchema()) return readList(at, ec2);
  if (at.schema.isMapSchema()) return readMap(at, ec2);
  if (ec2) demandKnown(at, () => false);
  return readScalar(at);
}

function readStructure(at: At, ec2: boolean): Record<string, unknown> {
  if (at.node.value) throw wrong(at, 'a structure');
  const out: Record<string, unknown> = {};
  const known = at.path === '' ? new Set(OF_EVERY_CALL) : new Set<string>();
  for (const [name, schema] of at.schema.structIterator()) {
    const key = keyOf(schema, name, ec2);
    known.add(key);
    const node = at.node.child(key);
    if (node) out[name] = read({ schema, node, path: joined(at.path, key), depth: at.depth + 1 }, ec2);
  }
  if (ec2) demandKnown(at, (key) => known.has(key));
  return out;
}

/**
 * EC2 refuses what it does not know, where other services leave it out: whoever has misspelled `Encrypted`, or has a newer client
 * than this, must not believe that he has it.
 */
function demandKnown(at: At, isKnown: (key: string) => boolean): void {
  for (const key of at.node.names()) {
    if (isKnown(key)) continue;
    throw new Failure('unknownParameter', `The parameter ${joined(at.path, key)} is not recognized`);
  }
}

/** EC2 has names of its own, and writes the others with a capital. */
function keyOf(schema: NormalizedSchema, name: string, ec2: boolean): string {
  const traits = traitsOf(schema);
  const plain = traits.xmlName ?? name;
  return ec2 ? (traits.ec2QueryName ?? plain[0].toUpperCase() + plain.slice(1)) : plain;
}

function readList(at: At, ec2: boolean): unknown[] {
  const schema = at.schema.getValueSchema();
  const flat = ec2 || traitsOf(at.schema).xmlFlattened !== undefined;
  const itemName = traitsOf(schema).xmlName ?? 'member';
  // boto writes `member` where the model has another name for the item in some old calls, so either is taken.
  const parent = flat ? at.node : (at.node.child(itemName) ?? at.node.child('member') ?? at.node);
  const items = parent.numbered();
  // `List=` is how an empty list is written; other text is none.
  if (items.length === 0 && at.node.value) throw wrong(at, 'a list');
  if (ec2) demandKnown(at, isListIndex);
  return items.map((node, index) =>
    read({ schema, node, path: joined(at.path, String(index + 1)), depth: at.depth + 1 }, ec2),
  );
}

function readMap(at: At, ec2: boolean): Record<string, unknown> {
  const [keySchema, schema] = [at.schema.getKeySchema(), at.schema.getValueSchema()];
  const keyName = traitsOf(keySchema).xmlName ?? 'key';
  const valueName = traitsOf(schema).xmlName ?? 'value';
  const flat = traitsOf(at.schema).xmlFlattened !== undefined;
  const parent = flat ? at.node : (at.node.child('entry') ?? at.node);
  const out: Record<string, unknown> = {};
  for (const entry of parent.numbered()) {
    const key = entry.child(keyName)?.value ?? '';
    const node = entry.child(valueName) ?? new FormNode();
    setOwn(out, key, read({ schema, node, path: joined(at.path, key), depth: at.depth + 1 }, ec2));
  }
  return out;
}

function readScalar(at: At): unknown {
  const { schema } = at;
  // There is a node without a value only where its name goes on: `Size.1=8`.
  const text = at.node.value ?? refuse(at, 'a single value');
  if (schema.isBooleanSchema()) return readBoolean(at, text);
  if (schema.isNumericSchema()) return readNumber(at, text);
  if (schema.isTimestampSchema())
    return readTimestamp(schema, text, TIMESTAMP.dateTime) ?? refuse(at, 'a timestamp');
  if (schema.isBlobSchema())
    return isBase64(text) ? Buffer.from(text, 'base64') : refuse(at, 'text in base64');
  if (schema.isBigIntegerSchema()) return /^-?\d{1,40}$/.test(text) ? BigInt(text) : refuse(at, 'an integer');
  return text;
}

function readBoolean(at: At, text: string): boolean {
  const lower = text.toLowerCase();
  if (lower === 'true' || lower === '1') return true;
  if (lower === 'false' || lower === '0') return false;
  throw wrong(at, 'true or false');
}

function readNumber(at: At, text: string): number {
  const isSpecial = text === 'NaN' || text === 'Infinity' || text === '-Infinity';
  const isDecimal = text.length <= 40 && /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?$/i.test(text);
  const value = Number(text);
  // Digits that are too many for a number are none: Infinity is written by its name.
  if (isSpecial || (isDecimal && Number.isFinite(value))) return value;
  throw wrong(at, 'a number');
}

function wrong(at: At, expected: string): Failure {
  const value = (at.node.value ?? '').slice(0, 64);
  // A value that may be secret is not told back, and so not to the audit either.
  const shown = traitsOf(at.schema).sensitive ? 'given' : `(${value})`;
  return new Failure(
    'wrongType',
    `Value ${shown} for parameter ${at.path} is invalid. It must be ${expected}.`,
  );
}

function refuse(at: At, expected: string): never {
  throw wrong(at, expected);
}

const joined = (path: string, name: string) => (path === '' ? name : `${path}.${name}`).slice(0, 256);
