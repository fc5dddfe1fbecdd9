/** What a run of an association is, from what its command is. Pure. */
import type { AssociationRun, RunState } from './association-records.ts';
import { type CommandFacts, invocationDetails, isFinished, stateOf } from './command-facts.ts';
import { outcomeOf } from './command-outcome.ts';
import { statusOf } from './invocation-status.ts';

const NOT_BEGUN: RunState = { status: 'Pending', details: 'Pending', counts: {} };

/** @param facts undefined before its command is sent, and after it was removed */
export function stateOfRun({ end }: AssociationRun, facts: CommandFacts | undefined): RunState {
  if (end) return end;
  return facts ? stateOfCommand(facts) : NOT_BEGUN;
}

/** It is a success where all have carried it out, one at least: of a machine that could not try it nobody knows. */
export function stateOfCommand(facts: CommandFacts): RunState {
  const details = facts.command.instances.map((instance) => invocationDetails(facts, instance));
  const counts = countsOf(details.map(statusOf));
  if (!isFinished(facts)) {
    const { status, details: said } = stateOf(facts);
    return { status: status === 'Pending' ? 'Pending' : 'InProgress', details: said, counts };
  }
  const others = [...new Set(details.filter((each) => each !== 'Success'))];
  if (details.length > 0 && others.length === 0) return { status: 'Success', details: 'Success', counts };
  const outcome = outcomeOf(facts);
  const why =
    outcome.state === 'failed' ? outcome.why : `the command ${facts.command.id} was not tried everywhere`;
  // Where all that did not go well ended alike, that says more than that the command is incomplete.
  const [only = stateOf(facts).details, another] = others;
  return { status: 'Failed', details: another === undefined ? only : stateOf(facts).details, counts, why };
}

function countsOf(statuses: readonly string[]): Record<string, number> {
  const byStatus = Map.groupBy(statuses, (status) => status);
  return Object.fromEntries([...byStatus].map(([status, all]) => [status, all.length]));
}
