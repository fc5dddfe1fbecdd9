/** JSON bodies: read with care, written by the SDK's serializer. */
import { JsonCodec2 } from '@smithy/core/protocols';
import type { $SchemaRef } from '@smithy/types';
import { Failure } from '../failures.ts';
import { normalized } from './schema.ts';
import { TIMESTAMP } from './timestamp.ts';

/** The parsed body; an empty one is an empty object. @throws Failure malformed */
export function parseJson(body: Buffer): unknown {
  if (body.length === 0) return {};
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw new Failure('malformed', 'the request body is not JSON', error);
  }
}

const settings = (of: { jsonName: boolean }) => ({
  timestampFormat: { useTrait: true, default: TIMESTAMP.epochSeconds },
  httpBindings: of.jsonName,
  jsonName: of.jsonName,
});
const codecs = {
  rpc: new JsonCodec2(settings({ jsonName: false })),
  rest: new JsonCodec2(settings({ jsonName: true })),
};

export function writeJson(schema: $SchemaRef, value: Record<string, unknown>, form: 'rpc' | 'rest'): Buffer {
  const serializer = codecs[form].createSerializer();
  serializer.write(normalized(schema), value);
  // The serializer's bytes look like text and warn where they are used as such.
  const bytes = serializer.flush();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
