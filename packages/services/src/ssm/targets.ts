/** Which instances a command is for: those that it names, or those that have all of what its targets say. */
import type { Target } from '@aws-sdk/client-ssm';
import type { Scope } from '../scope.ts';
import { readAgents } from './agents.ts';
import type { SsmInstance, SsmServices } from './ssm-context.ts';
import { ssmFailures } from './ssm-failures.ts';
import { given } from './ssm-inputs.ts';
import type { CommandTarget } from './ssm-records.ts';

const IDS_MAX = 50;
const TARGETS_MAX = 5;
const VALUES_MAX = 50;
const TAG = 'tag:';

export interface TargetInput {
  readonly InstanceIds?: string[] | undefined;
  readonly Targets?: Target[] | undefined;
}

/** What a command is for. @throws InvalidInstanceId, DuplicateInstanceId, ValidationException */
export async function findTargets(
  services: SsmServices,
  scope: Scope,
  input: TargetInput,
): Promise<{ instances: SsmInstance[]; targets: CommandTarget[] }> {
  const { InstanceIds: ids = [], Targets = [] } = input;
  if (ids.length > 0 === Targets.length > 0)
    throw ssmFailures.invalid('Exactly one of InstanceIds and Targets must be given.');
  const managed = await managedInstances(services, scope);
  if (ids.length > 0) return { instances: named(managed, ids), targets: [] };
  const targets = checkedTargets(Targets);
  const matching = managed.filter((instance) => targets.every((target) => matches(instance, target)));
  return { instances: matching, targets };
}

/** The same of an association, where `*` is the id of each instance. @throws ValidationException */
export async function findAssociationTargets(
  services: SsmServices,
  scope: Scope,
  input: Pick<TargetInput, 'Targets'>,
): Promise<{ instances: SsmInstance[]; targets: CommandTarget[] }> {
  const targets = checkedTargets(input.Targets ?? []);
  if (targets.length === 0) throw ssmFailures.invalid('Targets must be given.');
  const managed = await managedInstances(services, scope);
  return { instances: managed.filter((instance) => isAssociated(instance, targets)), targets };
}

export const isAssociated = (instance: SsmInstance, targets: readonly CommandTarget[]) =>
  targets.every((target) => isEachInstance(target) || matches(instance, target));

const isEachInstance = ({ key, values }: CommandTarget) => isInstanceKey(key) && values.includes('*');

/** Those whose agents have registered, in the order of their ids. */
export async function managedInstances(services: SsmServices, scope: Scope): Promise<SsmInstance[]> {
  const agents = await readAgents(services.store);
  return (await services.instances(scope))
    .filter(({ machineKey }) => agents.has(machineKey))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

function named(managed: readonly SsmInstance[], ids: readonly string[]): SsmInstance[] {
  if (ids.length > IDS_MAX)
    throw ssmFailures.invalid(
      `InstanceIds has ${ids.length} ids, and up to ${IDS_MAX} may be given: use Targets.`,
    );
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) throw ssmFailures.duplicateInstance(twice);
  const unknown = ids.filter((id) => !managed.some((instance) => instance.id === id));
  if (unknown.length > 0) throw ssmFailures.noInstances(unknown);
  return managed.filter(({ id }) => ids.includes(id));
}

function checkedTargets(targets: readonly Target[]): CommandTarget[] {
  if (targets.length > TARGETS_MAX)
    throw ssmFailures.invalid(`Targets has ${targets.length} keys, and up to ${TARGETS_MAX} may be given.`);
  return targets.map(({ Key, Values = [] }) => {
    const key = given(Key, 'Targets.Key');
    if (key.startsWith('resource-groups:'))
      throw ssmFailures.invalid(`${key.slice(0, 64)} is not supported here: there are no resource groups.`);
    if (!isInstanceKey(key) && key !== 'tag-key' && !(key.startsWith(TAG) && key.length > TAG.length))
      throw ssmFailures.invalid(
        `${key.slice(0, 64)} is no key of Targets: use tag:NAME, tag-key or InstanceIds.`,
      );
    if (Values.length === 0 || Values.length > VALUES_MAX)
      throw ssmFailures.invalid(`${key.slice(0, 64)} of Targets has 1 to ${VALUES_MAX} values.`);
    return { key, values: Values };
  });
}

const isInstanceKey = (key: string) => key.toLowerCase() === 'instanceids';

function matches({ id, tags }: SsmInstance, { key, values }: CommandTarget): boolean {
  if (isInstanceKey(key)) return values.includes(id);
  if (key === 'tag-key') return values.some((name) => Object.hasOwn(tags, name));
  const name = key.slice(TAG.length);
  return Object.hasOwn(tags, name) && values.includes(tags[name]);
}
