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
  const segments = new SegmentOracle(history);
  const others = [new ProgressOracle(history), new ReadOracle(history)];
  for (const { listeners } of [new DurabilityOracle(history), segments, ...others]) events.add(listeners);
  const membership = new MembershipOracle(history, {
    hasWholeLog: (node, pg, scl) => segments.hasWholeLog(node, pg, scl),
  });
  events.add(membership.listeners);
  events.add(new TakeOverOracle().listeners);
  return { history, membership };
}
