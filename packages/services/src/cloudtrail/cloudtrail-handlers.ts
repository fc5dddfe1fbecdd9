/** Every operation of CloudTrail that Rokka has, by the name that callers use. */
import type { LookupEventsCommandInput } from '@aws-sdk/client-cloudtrail';
import type { CallContext } from '../call-context.ts';
import { lookupEvents } from './lookup-events.ts';
import type { Trail } from './trail.ts';

/** A table as `defineService` of the gateway takes it. */
export function cloudTrailHandlers(services: { trail: Trail }) {
  return {
    LookupEvents: (input: LookupEventsCommandInput, call: CallContext) =>
      lookupEvents(input, { ...call, ...services }),
  };
}
