/** Small things about the SDK's static schemas that several codecs ask. */
import { NormalizedSchema } from '@smithy/core/schema';
import type { $SchemaRef, StaticStructureSchema } from '@smithy/types';

/** Deepest value that is read: schemas may contain themselves, and what a stranger sends must not exhaust the stack. */
export const DEPTH_MAX = 64;

/** Missing members that are named in one answer. */
const MISSING_MAX = 10;

/** The traits that a server reads; the SDK's own type of them is wider and looser. */
export interface Traits {
  readonly xmlName?: string;
  readonly ec2QueryName?: string;
  readonly xmlFlattened?: 1;
  readonly xmlAttribute?: 1;
  readonly xmlNamespace?: unknown;
  readonly sparse?: 1;
  readonly jsonName?: string;
  readonly sensitive?: 1;
  readonly httpLabel?: 1;
  readonly httpQuery?: string;
  readonly httpQueryParams?: 1;
  readonly httpHeader?: string;
  readonly httpPrefixHeaders?: string;
  readonly httpPayload?: 1;
  readonly httpResponseCode?: 1;
}

export function traitsOf(schema: NormalizedSchema): Traits {
  return schema.getMergedTraits();
}

export function normalized(schema: $SchemaRef): NormalizedSchema {
  return NormalizedSchema.of(schema);
}

/** A structure of our own making, such as the envelope around an answer. */
export function structure(
  name: string,
  members: readonly (readonly [string, $SchemaRef])[],
): StaticStructureSchema {
  return [
    3,
    'rokka.gateway',
    name,
    0,
    members.map(([member]) => member),
    members.map(([, schema]) => schema),
  ];
}

export function membersOf(schema: $SchemaRef): [string, NormalizedSchema][] {
  const of = normalized(schema);
  return of.isStructSchema() ? [...of.structIterator()] : [];
}

/** Paths of what the model requires and the input lacks, at any depth of what is there. */
export function missingMembers(schema: $SchemaRef, value: unknown): string[] {
  const missing: string[] = [];
  collectMissing({ schema: normalized(schema), value, path: '' }, missing);
  return missing;
}

function collectMissing(
  at: { schema: NormalizedSchema; value: unknown; path: string },
  into: string[],
): void {
  const { schema, value, path } = at;
  if (typeof value !== 'object' || value === null || into.length >= MISSING_MAX) return;
  if (schema.isStructSchema()) {
    const members = value as Record<string, unknown>;
    const required = requiredCount(schema);
    let index = 0;
    for (const [name, member] of schema.structIterator()) {
      const given = members[name];
      const inner = path === '' ? name : `${path}.${name}`;
      if (given !== undefined && given !== null)
        collectMissing({ schema: member, value: given, path: inner }, into);
      else if (index < required) into.push(inner);
      index++;
    }
  } else if (schema.isListSchema() || schema.isMapSchema()) {
    const item = schema.getValueSchema();
    // Of what has no members nothing can be missing; most lists are of texts.
    if (!(item.isStructSchema() || item.isListSchema() || item.isMapSchema())) return;
    for (const [key, inner] of Object.entries(value)) {
      const name = schema.isListSchema() ? String(Number(key) + 1) : key;
      collectMissing({ schema: item, value: inner, path: `${path}.${name}` }, into);
    }
  }
}

/** Required members come first in a schema, which says how many they are. */
function requiredCount(schema: NormalizedSchema): number {
  const raw = schema.getSchema() as unknown as StaticStructureSchema;
  return raw[0] === 3 ? (raw[6] ?? 0) : 0;
}
