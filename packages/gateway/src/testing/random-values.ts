/** Random values of any schema, from a seed: what a client may send and a handler may answer. */
import type { NormalizedSchema } from '@smithy/core/schema';
import type { SeededRandom } from '@rokka/kernel';
import { traitsOf } from '../codecs/schema.ts';

const WORDS = [
  'a',
  'vpc-1',
  'x y',
  `ü&<>"'`,
  'a/b',
  'é%20',
  '0',
  'true',
  'a,b',
  '雪',
  ' lead',
  'a=b&c',
  '😀',
  '{}',
  'line\nline',
];
const LABELS = ['a', 'b:c', 'x y', 'a/b', 'é'];
const DEPTH_OF_BRANCHES = 4;
const DEPTH_MAX = 7;

export function randomValue(random: SeededRandom, schema: NormalizedSchema, depth = 0): unknown {
  if (schema.isStructSchema()) return randomStructure(random, schema, depth);
  if (schema.isListSchema()) {
    const count = depth > DEPTH_MAX ? 0 : 1 + random.below(2);
    return Array.from({ length: count }, () => randomValue(random, schema.getValueSchema(), depth + 1));
  }
  if (schema.isMapSchema()) {
    const keys = Array.from({ length: 1 + random.below(2) }, (_, index) => `k${index}`);
    return Object.fromEntries(
      keys.map((key) => [key, randomValue(random, schema.getValueSchema(), depth + 1)]),
    );
  }
  return randomScalar(random, schema);
}

function randomStructure(
  random: SeededRandom,
  schema: NormalizedSchema,
  depth: number,
): Record<string, unknown> {
  const all = [...schema.structIterator()];
  const chosen = schema.isUnionSchema() ? [random.pick(all)] : all;
  const out: Record<string, unknown> = {};
  for (const [name, member] of chosen) {
    const isLeaf = !(member.isStructSchema() || member.isListSchema() || member.isMapSchema());
    const likely = isLeaf ? 0.8 : depth > DEPTH_OF_BRANCHES ? 0.1 : 0.6;
    const { httpLabel, httpHeader, httpPayload } = traitsOf(member);
    // What is left out of these would come back all the same: as the default type, and as a stream of nothing.
    const isMust =
      member.isIdempotencyToken() ||
      httpLabel ||
      httpHeader === 'Content-Type' ||
      httpPayload ||
      schema.isUnionSchema();
    if (isMust || random.chance(likely)) out[name] = randomValue(random, member, depth + 1);
  }
  return out;
}

function randomScalar(random: SeededRandom, schema: NormalizedSchema): unknown {
  const traits = traitsOf(schema);
  if (schema.isBlobSchema()) return Uint8Array.from({ length: random.below(5) + 1 }, () => random.below(256));
  if (schema.isTimestampSchema()) return new Date(1_700_000_000_000 + random.below(1_000_000) * 1000);
  if (traits.httpResponseCode) return 200;
  if (schema.isBooleanSchema()) return random.chance(0.5);
  if (schema.isNumericSchema())
    return random.chance(0.3) ? random.below(1000) / 8 : random.below(1_000_000) - 500_000;
  if (schema.isBigIntegerSchema()) return BigInt(random.below(1_000_000_000));
  if (schema.isDocumentSchema()) return { a: [1, 'x', true] };
  if (traits.httpLabel) return random.pick(LABELS);
  if (traits.httpHeader) return `abc-${random.below(100)}`;
  return random.pick(WORDS);
}

/**
 * A value as it can be compared: bytes as lists, and without what forms and XML cannot say, an empty list, map or structure.
 */
export function comparable(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: [...value] };
  if (value instanceof Date || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(comparable).filter((item) => !isEmpty(item));
  const entries = Object.entries(value)
    .filter(([key, member]) => member !== undefined && key !== '$metadata')
    .map(([key, member]) => [key, comparable(member)] as const)
    .filter(([, member]) => !isEmpty(member));
  return Object.fromEntries(entries);
}

function isEmpty(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || value instanceof Date) return false;
  return Object.keys(value).length === 0;
}
