/** The judges of a run. The history comes first: the others compare with it. */
import type { EventLog } from '../event-log.ts';
import { DurabilityOracle } from './durability.ts';
import { History } from './history.ts';
import { MembershipOracle } from './membership.ts';
import { ProgressOracle } from './progress.ts';
import { ReadOracle } from './reads.ts';
import { SegmentOracle } from './segments.ts';
import { TakeOverOracle } from './take-overs.ts';

export interface Oracles {
  readonly history: History;
  readonly membership: MembershipOracle;
}

export function makeOracles(events: EventLog): Oracles {
  const history = new History();
  events.add(history.listeners);
  for (const Oracle of [DurabilityOracle, SegmentOracle, ProgressOracle, ReadOracle])
    events.add(new Oracle(history).listeners);
  const membership = new MembershipOracle(history);
  events.add(membership.listeners);
  events.add(new TakeOverOracle().listeners);
  return { history, membership };
}
