import {
  type Event,
  InvalidEventCategoryException,
  InvalidLookupAttributesException,
  InvalidMaxResultsException,
  InvalidNextTokenException,
  InvalidTimeRangeException,
  type LookupAttribute,
  type LookupEventsCommandInput,
  type LookupEventsCommandOutput,
} from '@aws-sdk/client-cloudtrail';
import type { CallContext } from '../call-context.ts';
import type { Output } from '../iam/iam-context.ts';
import type { Trail } from './trail.ts';
import type { FoundEvent, TrailAttribute, TrailPlace, TrailQuery } from './trail-query.ts';

const PAGE_MAX = 50;
const ATTRIBUTES: readonly string[] = [
  'AccessKeyId',
  'EventId',
  'EventName',
  'EventSource',
  'ReadOnly',
  'ResourceName',
  'Username',
];

export interface CloudTrailContext extends CallContext {
  readonly trail: Trail;
}

/**
 * @throws InvalidLookupAttributesException, InvalidMaxResultsException, InvalidNextTokenException,
 * InvalidTimeRangeException, InvalidEventCategoryException
 */
export async function lookupEvents(
  input: LookupEventsCommandInput,
  { trail }: CloudTrailContext,
): Promise<Output<LookupEventsCommandOutput>> {
  const { MaxResults: countMax = PAGE_MAX, StartTime, EndTime } = input;
  if (!Number.isInteger(countMax) || countMax < 1 || countMax > PAGE_MAX)
    throw new InvalidMaxResultsException({ message: `MaxResults must be 1 to ${PAGE_MAX}`, $metadata: {} });
  if (input.EventCategory !== undefined)
    throw new InvalidEventCategoryException({ message: 'No insight events are made here', $metadata: {} });
  const [fromMs, toMs] = [StartTime?.getTime(), EndTime?.getTime()];
  if (fromMs !== undefined && toMs !== undefined && fromMs > toMs)
    throw new InvalidTimeRangeException({ message: 'StartTime is after EndTime', $metadata: {} });
  const query = { attribute: attributeOf(input.LookupAttributes), fromMs, toMs };
  const after = input.NextToken === undefined ? undefined : decodePlace(input.NextToken, query);
  const { events, next } = trail.lookUp({ ...query, after, countMax });
  return { Events: events.map(eventShape), ...(next && { NextToken: encodePlace(next, query) }) };
}

function attributeOf(attributes: readonly LookupAttribute[] = []): TrailQuery['attribute'] {
  const [first, second] = attributes;
  if (!first) return undefined;
  const { AttributeKey: key, AttributeValue: value } = first;
  if (second) throw invalidAttributes('One attribute is allowed in a lookup');
  if (key === undefined || !ATTRIBUTES.includes(key))
    throw invalidAttributes(`${key} is not supported: one of ${ATTRIBUTES.join(', ')} is`);
  if (value === undefined || value.length === 0 || value.length > 2000)
    throw invalidAttributes('AttributeValue must have 1 to 2000 characters');
  return { key: key as TrailAttribute, value };
}

const invalidAttributes = (message: string) =>
  new InvalidLookupAttributesException({ message, $metadata: {} });

function eventShape(found: FoundEvent): Event {
  return {
    EventId: found.eventId,
    EventName: found.eventName,
    ReadOnly: found.readOnly,
    EventTime: new Date(found.atMs),
    EventSource: found.eventSource,
    ...(found.accessKeyId !== null && { AccessKeyId: found.accessKeyId }),
    ...(found.username !== null && { Username: found.username }),
    Resources: found.resources.map((ResourceName) => ({ ResourceName })),
    CloudTrailEvent: found.event,
  };
}

type Asked = Pick<TrailQuery, 'attribute' | 'fromMs' | 'toMs'>;

const sameQuery = ({ attribute, fromMs, toMs }: Asked) =>
  JSON.stringify([attribute?.key, attribute?.value, fromMs, toMs]);

/** A token goes on with the query that it came from, and no other. */
function encodePlace({ atMs, sequence }: TrailPlace, query: Asked): string {
  return Buffer.from(JSON.stringify([atMs, sequence, sameQuery(query)])).toString('base64url');
}

function decodePlace(token: string, query: Asked): TrailPlace {
  const parts = parse(Buffer.from(token, 'base64url').toString());
  const [atMs, sequence, asked] = Array.isArray(parts) ? (parts as unknown[]) : [];
  if (Number.isSafeInteger(atMs) && Number.isSafeInteger(sequence) && asked === sameQuery(query))
    return { atMs: atMs as number, sequence: sequence as number };
  throw new InvalidNextTokenException({ message: 'NextToken is not one of this query', $metadata: {} });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
