/**
 * Writes answers in XML as the schema has them: byte for byte what the SDK's XmlShapeSerializer writes, which the test holds
 * against every operation. The SDK's makes an object of each element and asks each schema for its traits at each value; here
 * what follows from a schema is worked out once, when it is first written, and is kept as long as the schema.
 *
 * Query services have names of their own for elements, and nothing else of XML: no attributes, namespaces of single shapes or
 * lists with holes. A schema that has them is refused.
 */
import type { NormalizedSchema } from '@smithy/core/schema';
import type { StaticStructureSchema } from '@smithy/types';
import { gatewayErrors } from '../errors.ts';
import { normalized, traitsOf, type Traits } from './schema.ts';
import { TIMESTAMP } from './timestamp.ts';

export const XML_HEADERS = { 'content-type': 'text/xml;charset=UTF-8' };

/** Text of a value that is there. @throws TypeError for what its schema cannot say */
type Write = (value: unknown) => string;

/** @throws GATEWAY_SDK_CHANGED; TypeError for a value that the schema cannot say */
export function writeXml(
  schema: StaticStructureSchema,
  value: Record<string, unknown>,
  xmlNamespace: string | undefined,
): string {
  const attribute = xmlNamespace === undefined ? '' : ` xmlns="${escaped(xmlNamespace)}"`;
  const content = contentOf(normalized(schema))(value);
  const root =
    content === '' ? `<${schema[2]}${attribute}/>` : `<${schema[2]}${attribute}>${content}</${schema[2]}>`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n${root}`;
}

/** Schemas may contain themselves, so what a structure has inside is worked out when one is written. */
const contents = new WeakMap<object, Write>();

function contentOf(schema: NormalizedSchema): Write {
  const key = schema.getSchema() as object;
  const known = contents.get(key);
  if (known) return known;
  let members: { name: string; write: Write }[] | undefined;
  const content: Write = (value) => {
    members ??= [...schema.structIterator()].map(([name, member]) => ({ name, write: memberWriter(member) }));
    let out = '';
    for (const { name, write } of members) {
      const given = (value as Record<string, unknown>)[name];
      if (given !== undefined && given !== null) out += write(given);
    }
    return out;
  };
  contents.set(key, content);
  return content;
}

function memberWriter(schema: NormalizedSchema): Write {
  return elementWriter(schema, nameOf(schema));
}

/** The name by which a member, an item or a map's value stands in its parent. A structure's own name is that of a root. */
function nameOf(schema: NormalizedSchema): string {
  const { xmlName }: Traits = schema.isStructSchema() ? schema.getMemberTraits() : traitsOf(schema);
  return xmlName ?? schema.getMemberName();
}

function elementWriter(schema: NormalizedSchema, name: string): Write {
  const { xmlNamespace, xmlAttribute, sparse } = traitsOf(schema);
  if (xmlNamespace ?? xmlAttribute ?? sparse)
    throw gatewayErrors.GATEWAY_SDK_CHANGED([`${schema.getName(true)}: a trait that is not written here`]);
  if (schema.isListSchema()) return listWriter(schema, name);
  if (schema.isMapSchema()) return mapWriter(schema, name);
  if (schema.isStructSchema()) return wrapped(name, contentOf(schema));
  const text = textWriter(schema);
  // Unlike what holds elements, an empty text has two tags.
  return (value) => `<${name}>${text(value)}</${name}>`;
}

function wrapped(name: string, content: Write): Write {
  return (value) => {
    const inner = content(value);
    return inner === '' ? `<${name}/>` : `<${name}>${inner}</${name}>`;
  };
}

function listWriter(schema: NormalizedSchema, name: string): Write {
  const item = schema.getValueSchema();
  const isFlat = traitsOf(schema).xmlFlattened !== undefined;
  const write = elementWriter(item, isFlat ? name : nameOf(item));
  const items: Write = (values) => {
    let out = '';
    for (const value of values as Iterable<unknown>)
      if (value !== undefined && value !== null) out += write(value);
    return out;
  };
  return isFlat ? items : wrapped(name, items);
}

function mapWriter(schema: NormalizedSchema, name: string): Write {
  const [keySchema, valueSchema] = [schema.getKeySchema(), schema.getValueSchema()];
  const isFlat = traitsOf(schema).xmlFlattened !== undefined;
  const [entry, key] = [isFlat ? name : 'entry', nameOf(keySchema)];
  const write = memberWriter(valueSchema);
  const entries: Write = (values) => {
    let out = '';
    for (const [of, value] of Object.entries(values as object))
      if (value !== undefined && value !== null)
        out += `<${entry}><${key}>${escaped(of)}</${key}>${write(value)}</${entry}>`;
    return out;
  };
  return isFlat ? entries : wrapped(name, entries);
}

function textWriter(schema: NormalizedSchema): Write {
  if (schema.isStringSchema()) return (value) => escaped(plain(value));
  if (schema.isTimestampSchema()) return (value) => time(schema, value);
  if (schema.isBlobSchema()) return base64;
  if (schema.isBigDecimalSchema()) return String;
  if (schema.isBooleanSchema() || schema.isNumericSchema() || schema.isBigIntegerSchema()) return plain;
  throw gatewayErrors.GATEWAY_SDK_CHANGED([`${schema.getName(true)}: a type that is not written in XML`]);
}

function plain(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
    return String(value);
  throw unwritable(value);
}

function base64(value: unknown): string {
  if (!(value instanceof Uint8Array)) throw unwritable(value);
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
}

function time(schema: NormalizedSchema, value: unknown): string {
  if (!(value instanceof Date)) throw unwritable(value);
  const format: unknown = schema.getSchema();
  if (format === TIMESTAMP.httpDate) return value.toUTCString();
  if (format === TIMESTAMP.epochSeconds) return String(value.getTime() / 1000);
  return value.toISOString().replace('.000Z', 'Z');
}

/** What it is and not what it says: that may be secret, and this is logged. */
function unwritable(value: unknown): TypeError {
  return new TypeError(`a value cannot be written in XML as its schema has it: ${typeof value}`);
}

/** The last row is what XML 1.0 has no way to write, escaped or not: it would make the whole answer unreadable. */
const SPECIAL =
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  /[&"'<>\r\n\u0085\u2028\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/;
const SPECIALS = new RegExp(SPECIAL, 'g');
const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '"': '&quot;',
  "'": '&apos;',
  '<': '&lt;',
  '>': '&gt;',
  '\r': '&#x0D;',
  '\n': '&#x0A;',
  '\u0085': '&#x85;',
  '\u2028': '&#x2028;',
};

function escaped(text: string): string {
  // Most texts have nothing to escape, and a look is cheaper than a copy.
  if (!SPECIAL.test(text)) return text;
  return text.replace(SPECIALS, (character) => ESCAPES[character] ?? '\ufffd');
}
