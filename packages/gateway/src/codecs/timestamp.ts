/**
 * Times on the wire: RFC 3339 text, RFC 7231 text (HTTP's) or seconds since 1970 with fractions, by the schema's own format or
 * else by the protocol's default.
 */
import type { NormalizedSchema } from '@smithy/core/schema';

/** As the SDK's schemas number them. */
export const TIMESTAMP = { dateTime: 5, httpDate: 6, epochSeconds: 7 } as const;
export type TimestampFormat = (typeof TIMESTAMP)[keyof typeof TIMESTAMP];

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/i;
/** A Date holds this many milliseconds on either side of 1970. */
const DATE_MS_MAX = 8.64e15;

/** Undefined for what is no time. */
export function readTimestamp(
  schema: NormalizedSchema,
  value: unknown,
  fallback: TimestampFormat,
): Date | undefined {
  const own: unknown = schema.getSchema();
  const format = own === 4 ? fallback : own;
  // boto writes ISO text where the model says nothing else, and AWS takes either of the texts.
  if (format === TIMESTAMP.epochSeconds) return fromSeconds(value) ?? fromText(value);
  return fromText(value) ?? fromSeconds(value);
}

function fromSeconds(value: unknown): Date | undefined {
  const isDigits = typeof value === 'string' && /^-?\d+(\.\d+)?(E-?\d+)?$/i.test(value) && value.length < 40;
  if (typeof value !== 'number' && !isDigits) return undefined;
  const ms = Math.round(Number(value) * 1000);
  return Math.abs(ms) <= DATE_MS_MAX ? new Date(ms) : undefined;
}

function fromText(value: unknown): Date | undefined {
  if (typeof value !== 'string' || value.length > 40) return undefined;
  const isHttp = /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d(\.\d{1,3})? GMT$/.test(value);
  if (!RFC3339.test(value) && !isHttp) return undefined;
  const ms = Date.parse(value);
  return Number.isNaN(ms) ? undefined : new Date(ms);
}
