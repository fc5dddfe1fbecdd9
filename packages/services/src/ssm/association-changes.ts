/** Associations are made and changed, each by one write of one record; what whoever does so must be allowed. */
import type { Credential, InputOf, ResourceAsk } from '@rokka/gateway';
import type { UpdateAssociationCommand } from '@aws-sdk/client-ssm';
import type { Scope } from '../scope.ts';
import { type AssociationInput, checkedVersion, updated } from './association-inputs.ts';
import {
  associationFacts,
  associationIfThere,
  associationVersion,
  changeAssociation,
  findAssociation,
  listAssociations,
} from './association-lookup.ts';
import { associationKey, type AssociationRecord } from './association-records.ts';
import { currentOf, withAskedRun } from './association-runs.ts';
import type { AssociationFacts } from './association-shapes.ts';
import type { SsmServices } from './ssm-context.ts';
import { ssmFailures } from './ssm-failures.ts';
import { newCommandId } from './ssm-ids.ts';
import { given } from './ssm-inputs.ts';
import { askForAssociation, askForDocument, asksToSend } from './ssm-permissions.ts';
import { findAssociationTargets } from './targets.ts';

/** AWS's limit. */
const ASSOCIATIONS_MAX = 2000;
/** All versions are in one record. */
const VERSIONS_MAX = 100;
const RECORD_BYTES_MAX = 256 * 1024;

interface Changing<I> {
  readonly input: I;
  /** Of whoever does it: what runs from then on does so with his rights. */
  readonly credential: Credential;
}

/** Beside the association: whatever its runs will send, as if it were sent now. @throws ValidationException */
export async function asksToAssociate(
  services: SsmServices,
  scope: Scope,
  input: AssociationInput,
): Promise<ResourceAsk[]> {
  const { instances } = await findAssociationTargets(services, scope, input);
  return [askForDocument(scope, input.Name), ...asksToSend(scope, { document: input.Name, instances })];
}

/** @throws ValidationException */
export async function asksToUpdate(
  services: SsmServices,
  scope: Scope,
  input: InputOf<typeof UpdateAssociationCommand>,
): Promise<ResourceAsk[]> {
  const own = askForAssociation(scope, input.AssociationId);
  const found = await associationIfThere(services, scope, input.AssociationId);
  return found ? [own, ...(await asksToAssociate(services, scope, updated(input, found)))] : [own];
}

/** @throws AssociationLimitExceeded, what `checkedVersion` throws */
export async function makeAssociation(
  services: SsmServices,
  scope: Scope,
  { input, credential }: Changing<AssociationInput>,
): Promise<AssociationFacts> {
  const { store, random, rights } = services;
  const standIn = await rights.standInOf(credential);
  const version = await checkedVersion(services, scope, { input, version: 1, standIn });
  if ((await listAssociations(services, scope)).length >= ASSOCIATIONS_MAX)
    throw ssmFailures.associationLimit(
      `There are ${ASSOCIATIONS_MAX} associations, and no more are allowed.`,
    );
  const made: AssociationRecord = {
    id: newCommandId(random),
    createdAtMs: version.createdAtMs,
    versions: [version],
    runs: [],
  };
  const association = begun(services, made);
  demandRoom(association);
  await store.enter(scope);
  await store.create(associationKey(scope, association.id), association);
  return associationFacts(services, scope, association);
}

/** @throws AssociationDoesNotExist, InvalidAssociationVersion, AssociationVersionLimitExceeded, what `checkedVersion` throws */
export async function updateAssociation(
  services: SsmServices,
  scope: Scope,
  { input, credential }: Changing<InputOf<typeof UpdateAssociationCommand>>,
): Promise<AssociationFacts> {
  const known = await findAssociation(services, scope, input.AssociationId);
  const last = currentOf(known).version;
  if (associationVersion(known, input.AssociationVersion).version !== last)
    throw ssmFailures.associationVersion(
      `Version ${input.AssociationVersion} of ${known.id} is not its latest one, which is ${last}.`,
    );
  const standIn = await services.rights.standInOf(credential);
  const of = { input: updated(input, known), version: last + 1, standIn };
  const version = await checkedVersion(services, scope, of);
  const { id } = known;
  const value = await changeAssociation(services, scope, {
    id,
    change(found) {
      // What was checked, and whoever was asked, is of the one before.
      if (currentOf(found).version !== last)
        throw ssmFailures.associationVersion(`${id} was changed meanwhile: try again.`);
      const next = begun(services, { ...found, versions: [...found.versions, version] });
      demandRoom(next);
      return next;
    },
  });
  return associationFacts(services, scope, given(value, 'AssociationId'));
}

/** @throws AssociationDoesNotExist */
export async function askForRun(services: SsmServices, scope: Scope, id: string): Promise<void> {
  const run = beginning(services);
  await changeAssociation(services, scope, { id, change: (found) => withAskedRun(found, run) });
}

const begun = (services: SsmServices, association: AssociationRecord) =>
  currentOf(association).isOnlyScheduled ? association : withAskedRun(association, beginning(services));

const beginning = ({ clock, random }: SsmServices) => ({
  id: newCommandId(random),
  takenAtMs: clock.wallMs(),
});

/** @throws AssociationVersionLimitExceeded */
function demandRoom({ versions }: AssociationRecord): void {
  if (versions.length <= VERSIONS_MAX && JSON.stringify(versions).length <= RECORD_BYTES_MAX) return;
  throw ssmFailures.associationVersionLimit(
    `The association has too many versions: ${VERSIONS_MAX}, of ${RECORD_BYTES_MAX / 1024} KiB together, are allowed. Make another one.`,
  );
}
