/** One value of a path, a query or a header: text that stands for the schema's type. */
import { FromStringShapeDeserializer } from '@smithy/core/protocols';
import type { NormalizedSchema } from '@smithy/core/schema';
import { Failure } from '../failures.ts';
import { TIMESTAMP } from './timestamp.ts';

const reader = new FromStringShapeDeserializer({
  timestampFormat: { useTrait: true, default: TIMESTAMP.epochSeconds },
  httpBindings: true,
});

/** @throws Failure wrongType */
export function readText(schema: NormalizedSchema, text: string, name: string): unknown {
  if (schema.isBooleanSchema() && !/^(true|false)$/i.test(text)) throw wrong(name, 'true or false');
  let value: unknown;
  try {
    value = reader.read(schema, text);
  } catch (error) {
    throw wrong(name, 'of its type', error);
  }
  if (schema.isNumericSchema() && (text.trim() === '' || (Number.isNaN(value) && text !== 'NaN')))
    throw wrong(name, 'a number');
  return value;
}

function wrong(name: string, expected: string, cause?: unknown): Failure {
  return new Failure('wrongType', `${name} must be ${expected}`, cause);
}
