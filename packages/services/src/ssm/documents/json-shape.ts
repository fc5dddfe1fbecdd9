/** Reads JSON that somebody else has written: each look says what it wants, and refuses what is not so. */
import { ssmFailures } from '../ssm-failures.ts';
import type { Json, JsonObject } from './document-model.ts';

/** More than any document needs; what walks through one calls itself. */
const DEPTH_MAX = 32;

/** @throws InvalidDocumentContent */
export function parsedObject(text: string): JsonObject {
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (error) {
    throw ssmFailures.documentContent(`JSON not well-formed. ${(error as Error).message.slice(0, 200)}`);
  }
  demandDepth(value, DEPTH_MAX);
  return asObject(value, 'the document');
}

function demandDepth(value: Json, left: number): void {
  if (typeof value !== 'object' || value === null) return;
  if (left === 0) throw ssmFailures.documentContent(`The document is nested more than ${DEPTH_MAX} deep.`);
  for (const inner of Object.values(value)) demandDepth(inner, left - 1);
}

/** Of what the object has itself. */
export const memberOf = (object: JsonObject, key: string): Json | undefined =>
  Object.hasOwn(object, key) ? object[key] : undefined;

export function asObject(value: Json | undefined, what: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw ssmFailures.documentContent(`Invalid document: ${what} must be an object.`);
}

export function asList(value: Json | undefined, what: string): readonly Json[] {
  if (Array.isArray(value)) return value as readonly Json[];
  throw ssmFailures.documentContent(`Invalid document: ${what} must be a list.`);
}

export function asText(value: Json | undefined, what: string): string {
  if (typeof value === 'string') return value;
  throw ssmFailures.documentContent(`Invalid document: ${what} must be a string.`);
}

export const asTexts = (value: Json | undefined, what: string): string[] =>
  asList(value, what).map((each) => asText(each, `each of ${what}`));

/** A whole number, also as text. Undefined where it is not there. */
export function asCount(value: Json | undefined, what: string): number | undefined {
  if (value === undefined) return undefined;
  const count = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : value;
  if (typeof count === 'number' && Number.isInteger(count) && count >= 0) return count;
  throw ssmFailures.documentContent(`Invalid document: ${what} must be a whole number.`);
}

/** @throws InvalidDocumentContent: what is not known is not carried out */
export function demandKnown(object: JsonObject, known: readonly string[], what: string): void {
  for (const key of Object.keys(object))
    if (!known.includes(key))
      throw ssmFailures.documentContent(
        `Invalid document: ${what} has ${key.slice(0, 64)}, which is not supported.`,
      );
}
