/**
 * restJson1: method and path name the operation; members stand in the path, the query, headers, or the body.
 * https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html
 */
import { ToStringShapeSerializer } from '@smithy/core/protocols';
import type { NormalizedSchema } from '@smithy/core/schema';
import type { Readable } from 'node:stream';
import type { WireRequest } from '../wire.ts';
import { withMessage } from './aws-json.ts';
import type { Codec, Members } from './codec.ts';
import { readDocument } from './document-reader.ts';
import { parseJson, writeJson } from './json.ts';
import { findRoute, type HttpTrait, type RouteMatch } from './rest-routes.ts';
import { readText } from './rest-text.ts';
import { membersOf, normalized, structure, traitsOf, type Traits } from './schema.ts';
import { TIMESTAMP } from './timestamp.ts';

const FORM = { jsonNames: true, binary: false } as const;
const JSON_HEADERS = { 'content-type': 'application/json' };

export const restJson: Codec = {
  family: 'rest',
  route: (service, request) => findRoute(service, request)?.operation,
  decode(service, operation, request) {
    const match = findRoute(service, request);
    if (!match || normalized(operation[4]).isUnitSchema()) return {};
    const out: Members = {};
    const bodyMembers: [string, NormalizedSchema][] = [];
    for (const [name, schema] of membersOf(operation[4])) {
      const traits = traitsOf(schema);
      if (isInBody(traits)) bodyMembers.push([name, schema]);
      else {
        const value = readBound({ name, schema, traits, request, match });
        if (value !== undefined) out[name] = value;
      }
    }
    return bodyMembers.length === 0 ? out : { ...out, ...readBody(bodyMembers, request.body) };
  },
  encode({ operation, output }) {
    const headers: Record<string, string> = { ...JSON_HEADERS };
    let status = (operation[3] as HttpTrait).http?.[2] ?? 200;
    let payload: string | Uint8Array | Readable | undefined;
    const bodyMembers: [string, NormalizedSchema][] = [];
    const members = membersOf(operation[5]);
    for (const [name, schema] of members) {
      const [value, traits] = [output[name], traitsOf(schema)];
      if (isInBody(traits)) bodyMembers.push([name, schema]);
      else if (value === undefined || value === null) continue;
      else if (traits.httpHeader) headers[traits.httpHeader.toLowerCase()] = toText(schema, value);
      else if (traits.httpResponseCode) status = value as number;
      else if (traits.httpPayload) payload = writePayload(schema, value);
    }
    const hasPayload = members.some(([, schema]) => traitsOf(schema).httpPayload);
    const body = payload ?? (hasPayload || members.length === 0 ? '' : writeBody(bodyMembers, output));
    return { status, headers, body };
  },
  encodeError({ error }) {
    const headers = { ...JSON_HEADERS, 'x-amzn-errortype': error.code };
    const members = error.schema
      ? membersOf(error.schema).filter(([, schema]) => isInBody(traitsOf(schema)))
      : [];
    const body = error.schema
      ? writeBody(members, withMessage(error.members, error.message))
      : JSON.stringify({ message: error.message });
    return { status: error.status, headers, body };
  },
};

interface Bound {
  readonly name: string;
  readonly schema: NormalizedSchema;
  readonly traits: Traits;
  readonly request: WireRequest;
  readonly match: RouteMatch;
}

function readBound({ name, schema, traits, request, match }: Bound): unknown {
  if (traits.httpLabel) return readText(schema, match.labels.get(name) ?? '', name);
  if (traits.httpQuery) {
    const values = request.query.getAll(traits.httpQuery);
    if (values.length === 0) return undefined;
    if (!schema.isListSchema()) return readText(schema, values[0], name);
    return values.map((value) => readText(schema.getValueSchema(), value, name));
  }
  if (traits.httpQueryParams) return readQueryParameters(schema, request.query);
  if (traits.httpHeader) {
    const value = request.headers[traits.httpHeader.toLowerCase()];
    return value === undefined ? undefined : readText(schema, value, name);
  }
  if (traits.httpPrefixHeaders !== undefined) return readPrefixed(traits.httpPrefixHeaders, request.headers);
  if (traits.httpPayload)
    return schema.isStructSchema() ? readDocument(schema, parseJson(request.body), FORM, name) : request.body;
  return undefined;
}

function readQueryParameters(schema: NormalizedSchema, query: URLSearchParams): Members {
  const isLists = schema.getValueSchema().isListSchema();
  return Object.fromEntries(
    [...query.keys()].map((key) => [key, isLists ? query.getAll(key) : query.get(key)]),
  );
}

function readPrefixed(prefix: string, headers: Readonly<Record<string, string>>): Members {
  const lower = prefix.toLowerCase();
  return Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => name.startsWith(lower))
      .map(([name, value]) => [name.slice(lower.length), value]),
  );
}

function readBody(members: [string, NormalizedSchema][], body: Buffer): Members {
  return readDocument(bodySchema(members), parseJson(body), FORM) as Members;
}

function writeBody(members: [string, NormalizedSchema][], value: Members): Buffer {
  return writeJson(bodySchema(members), value, 'rest');
}

function bodySchema(members: [string, NormalizedSchema][]): NormalizedSchema {
  return normalized(structure('Body', members));
}

function writePayload(schema: NormalizedSchema, value: unknown): string | Uint8Array | Readable {
  if (schema.isStructSchema()) return writeBody([...schema.structIterator()], value as Members);
  return value as string | Uint8Array | Readable;
}

function toText(schema: NormalizedSchema, value: unknown): string {
  const serializer = new ToStringShapeSerializer({
    timestampFormat: { useTrait: true, default: TIMESTAMP.epochSeconds },
    httpBindings: true,
  });
  serializer.write(schema, value);
  return serializer.flush();
}

function isInBody(traits: Traits): boolean {
  const { httpLabel, httpQuery, httpQueryParams, httpHeader, httpPayload, httpResponseCode } = traits;
  const elsewhere =
    httpLabel ?? httpQuery ?? httpQueryParams ?? httpHeader ?? httpPayload ?? httpResponseCode;
  return elsewhere === undefined && traits.httpPrefixHeaders === undefined;
}
