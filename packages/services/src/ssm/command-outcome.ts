/** What has become of a command: for services that have sent one. */
import type { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';
import { isFinished, readCommand, stateOf } from './command-facts.ts';

export type CommandOutcome =
  | { readonly state: 'none' }
  | { readonly state: 'running' }
  | { readonly state: 'succeeded' }
  /** As a part of a sentence. */
  | { readonly state: 'failed'; readonly why: string };

const WHY_MAX = 300;

/** @throws errors of the registry */
export async function commandOutcome(store: RecordStore, scope: Scope, id: string): Promise<CommandOutcome> {
  const facts = await readCommand({ store }, scope, id);
  if (!facts) return { state: 'none' };
  if (!isFinished(facts)) return { state: 'running' };
  const { status, details } = stateOf(facts);
  if (status === 'Success' && details === 'Success') return { state: 'succeeded' };
  const said = [...facts.invocations.values()].flatMap(({ steps }) =>
    steps.map(({ stderr }) => stderr.trim()),
  );
  const reason = said
    .filter((text) => text !== '')
    .join(' ')
    .slice(0, WHY_MAX);
  const named = `the command ${id} ended as ${details}`;
  return { state: 'failed', why: reason === '' ? named : `${named}: ${reason}` };
}
