/** What has become of a command: for whoever has sent one and asks later. */
import type { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';
import { type CommandFacts, isFinished, readCommand, stateOf } from './command-facts.ts';

export type CommandOutcome = { readonly state: 'none' } | { readonly state: 'running' } | CommandEnd;

type CommandEnd =
  | { readonly state: 'succeeded' }
  /** As a part of a sentence. */
  | { readonly state: 'failed'; readonly why: string };

const WHY_MAX = 300;

/** @throws errors of the registry */
export async function commandOutcome(store: RecordStore, scope: Scope, id: string): Promise<CommandOutcome> {
  const facts = await readCommand({ store }, scope, id);
  if (!facts) return { state: 'none' };
  return isFinished(facts) ? outcomeOf(facts) : { state: 'running' };
}

/** Of one that has finished. */
export function outcomeOf(facts: CommandFacts): CommandEnd {
  const { status, details } = stateOf(facts);
  if (status === 'Success' && details === 'Success') return { state: 'succeeded' };
  const said = [...facts.invocations.values()].flatMap(({ steps }) =>
    steps.map(({ stderr }) => stderr.trim()),
  );
  const reason = said
    .filter((text) => text !== '')
    .join(' ')
    .slice(0, WHY_MAX);
  const named = `the command ${facts.command.id} ended as ${details}`;
  return { state: 'failed', why: reason === '' ? named : `${named}: ${reason}` };
}
