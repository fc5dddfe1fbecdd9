/** Small things about the SDK's static schemas that several codecs ask. */
import { NormalizedSchema } from '@smithy/core/schema';
import type { $SchemaRef, StaticStructureSchema } from '@smithy/types';

/** Deepest value that is read: schemas may contain themselves, and what a stranger sends must not exhaust the stack. */
export const DEPTH_MAX = 64;

/** The traits that a server reads; the SDK's own type of them is wider and looser. */
export interface Traits {
  readonly xmlName?: string;
  readonly ec2QueryName?: string;
  readonly xmlFlattened?: 1;
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

/** Members that the model requires and the input lacks. Required ones come first in a schema, which says how many they are. */
export function missingMembers(schema: $SchemaRef, value: Readonly<Record<string, unknown>>): string[] {
  const raw: unknown = normalized(schema).getSchema();
  if (!Array.isArray(raw)) return [];
  const [, , , , names, , required = 0] = raw as unknown as StaticStructureSchema;
  return names.slice(0, required).filter((name) => value[name] === undefined || value[name] === null);
}
