/** Associations by id, how they are changed, and their runs with what their commands are. */
import type { Scope } from '../scope.ts';
import {
  associationKey,
  type AssociationRecord,
  type AssociationRun,
  associationsPrefix,
  type AssociationVersionRecord,
  type RunState,
} from './association-records.ts';
import { currentOf, lastRunOf } from './association-runs.ts';
import type { AssociationFacts } from './association-shapes.ts';
import { stateOfRun } from './association-status.ts';
import { readCommand } from './command-facts.ts';
import type { SsmServices } from './ssm-context.ts';
import { ssmFailures } from './ssm-failures.ts';
import { isCommandId } from './ssm-ids.ts';

/** Of ids of another form there is none. */
export async function associationIfThere(
  { store }: Pick<SsmServices, 'store'>,
  scope: Scope,
  id = '',
): Promise<AssociationRecord | undefined> {
  return isCommandId(id) ? store.get<AssociationRecord>(associationKey(scope, id)) : undefined;
}

/** @throws AssociationDoesNotExist */
export async function findAssociation(
  services: Pick<SsmServices, 'store'>,
  scope: Scope,
  id: string | undefined,
): Promise<AssociationRecord> {
  const found = await associationIfThere(services, scope, id);
  if (!found) throw ssmFailures.noAssociation(id ?? '');
  return found;
}

/** By id. */
export const listAssociations = ({ store }: Pick<SsmServices, 'store'>, scope: Scope) =>
  store.list<AssociationRecord>(associationsPrefix(scope));

/** `change` may run several times, and may throw. @throws AssociationDoesNotExist */
export async function changeAssociation(
  { store }: Pick<SsmServices, 'store'>,
  scope: Scope,
  of: { id: string; change: (found: AssociationRecord) => AssociationRecord | undefined },
): Promise<AssociationRecord | undefined> {
  const { value } = await store.change<AssociationRecord>(associationKey(scope, of.id), (found) => {
    if (!found) throw ssmFailures.noAssociation(of.id);
    return of.change(found);
  });
  return value;
}

/** @param text `$LATEST`, which it is unless given, or a number @throws InvalidAssociationVersion */
export function associationVersion(
  association: AssociationRecord,
  text: string | undefined,
): AssociationVersionRecord {
  const { versions } = association;
  if (text === undefined || text === '' || text === '$LATEST') return currentOf(association);
  const found = versions.find(({ version }) => String(version) === text);
  if (found) return found;
  throw ssmFailures.associationVersion(
    `The association ${association.id} has no version ${text.slice(0, 64)}.`,
  );
}

/** As it is now. */
export async function associationFacts(
  services: SsmServices,
  scope: Scope,
  association: AssociationRecord,
): Promise<AssociationFacts> {
  const run = lastRunOf(association);
  const state = run && (await runState(services, scope, run));
  return { association, version: currentOf(association), state };
}

/** Of the run, which its command says as long as it goes on. */
export async function runState(
  of: Parameters<typeof readCommand>[0],
  scope: Scope,
  run: AssociationRun,
): Promise<RunState> {
  return stateOfRun(run, run.end ? undefined : await readCommand(of, scope, run.id));
}
