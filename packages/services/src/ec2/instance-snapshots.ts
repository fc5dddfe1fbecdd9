/** Snapshots of every volume that is attached to an instance, all of one moment: what that asks for, and how it is begun. */
import type { InstanceSpecification, TagSpecification } from '@aws-sdk/client-ec2';
import type { ResourceAsk } from '@rokka/gateway';
import { must } from '@rokka/kernel';
import type { Scope } from '../scope.ts';
import { type Tag, withTags } from '../tags.ts';
import { shownBoot } from './boot-snapshots.ts';
import type { Ec2Services } from './ec2-context.ts';
import { ec2Failures } from './ec2-failures.ts';
import { newSetId } from './ec2-ids.ts';
import { BOOT_DEVICE, checkedId, tagRules } from './ec2-inputs.ts';
import { askFor, askForNew } from './ec2-permissions.ts';
import type { SnapshotSetRecord } from './ec2-records.ts';
import { findInstance, listInstances } from './instances.ts';
import { copiedTags } from './snapshot-claims.ts';
import type { SnapshotFacts } from './snapshot-facts.ts';
import { demandBucket, madeSet, newSnapshot } from './snapshot-making.ts';
import { demandState } from './volume-changes.ts';
import { readScope, type VolumeFacts } from './volume-facts.ts';

interface InstanceSnapshots {
  /** Of the set. With one that is there already, nothing more is made. */
  readonly id?: string;
  readonly specification: InstanceSpecification | undefined;
  readonly description: string;
  readonly tags: readonly Tag[];
  /** Whether each has the tags of its volume, beside. */
  readonly copiesTags: boolean;
}

/** Roles that were made before there was CreateSnapshots name this one. Whoever may copy each volume may copy them at one moment. */
const ONE_BY_ONE = 'ec2:CreateSnapshot';
const AT_ONE_MOMENT = 'ec2:CreateSnapshots';

export async function askForInstanceSnapshots(
  services: Ec2Services,
  scope: Scope,
  of: Omit<CopiedInstance, 'operation'>,
): Promise<ResourceAsk[]> {
  const asks = await askForCopied(services, scope, { ...of, operation: 'CreateSnapshots' });
  return asks.map((ask) => (ask.action === undefined ? { ...ask, alternatives: [ONE_BY_ONE] } : ask));
}

/** Whoever is denied a copy of a volume, the boot volume say, gets none by making an image of it. */
export async function askForImagedInstance(
  services: Ec2Services,
  scope: Scope,
  of: Omit<CopiedInstance, 'operation'>,
): Promise<ResourceAsk[]> {
  const asks = await askForCopied(services, scope, { ...of, operation: 'CreateImage' });
  const alternatives = [ONE_BY_ONE, AT_ONE_MOMENT];
  return asks.map((ask) => (ask.action === undefined ? { ...ask, alternatives } : ask));
}

/** By the specification of the call, which is one object for whoever is asked and for whoever carries it out: the volumes that were asked for. */
const askedFor = new WeakMap<InstanceSpecification, ReadonlySet<string>>();

interface CopiedInstance {
  readonly specification: InstanceSpecification | undefined;
  readonly tags: readonly TagSpecification[] | undefined;
  readonly operation: string;
}

/** Of each volume too: who may copy all others may still be denied one. */
async function askForCopied(
  services: Ec2Services,
  scope: Scope,
  { specification, tags, operation }: CopiedInstance,
): Promise<ResourceAsk[]> {
  const ids = (await attachedTo(services, scope, specification)).map(({ volume }) => volume.id);
  const boot = hasBoot(specification) && (await bootOf(services, scope, specification?.InstanceId));
  if (boot) ids.unshift(boot.id);
  if (specification) askedFor.set(specification, new Set(ids));
  return [
    await askFor(services, scope, ['instance', specification?.InstanceId]),
    ...(await Promise.all(ids.map((id) => askFor(services, scope, ['volume', id])))),
    ...askForNew(scope, 'snapshot', { operation, tags }),
  ];
}

/** @throws InvalidInstanceID.NotFound, InvalidParameterValue, IncorrectState, TagLimitExceeded, OperationNotPermitted for the boot volume of another machine, UnsupportedOperation */
export async function makeInstanceSnapshots(
  services: Ec2Services,
  scope: Scope,
  of: InstanceSnapshots,
): Promise<SnapshotFacts[]> {
  return madeSet(services, scope, (await newInstanceSet(services, scope, of)).set);
}

/** One that nobody has yet, and where each of its members was attached. @throws what `makeInstanceSnapshots` throws */
export async function newInstanceSet(
  services: Ec2Services,
  scope: Scope,
  of: InstanceSnapshots,
): Promise<{ set: SnapshotSetRecord; devices: readonly string[] }> {
  const { specification, description, tags: own } = of;
  const instance = await findInstance(services, scope, specification?.InstanceId);
  const boot = hasBoot(specification) ? [{ ...shownBoot(services, instance), tags: [] }] : [];
  const volumes = await attachedTo(services, scope, specification);
  for (const facts of volumes) demandState(facts, ['in-use']);
  const data = volumes.map(({ volume: { id, sizeGiB, tags } }) => ({ volume: { id, sizeGiB }, tags }));
  if (boot.length + data.length === 0)
    throw ec2Failures.parameter(`No volume is attached to ${instance.id} that is not excluded.`);
  demandAsked(specification, [...boot, ...data]);
  demandBucket(services, `The volumes of ${instance.id} get no snapshots`);
  const members = [...boot, ...data].map(({ tags, ...shown }) =>
    newSnapshot(services, {
      ...shown,
      description,
      tags: of.copiesTags ? withTags(copiedTags(tags), own, tagRules) : own,
    }),
  );
  return {
    set: { id: of.id ?? newSetId(services.random), size: members.length, members },
    devices: [...boot.map(() => BOOT_DEVICE), ...volumes.map(({ volume }) => must(volume.attachment).device)],
  };
}

/** What came between the two nobody has allowed. @throws IncorrectState */
function demandAsked(
  specification: InstanceSpecification | undefined,
  copied: readonly { readonly volume: { readonly id: string } }[],
): void {
  const asked = specification && askedFor.get(specification);
  const late = asked && copied.find(({ volume }) => !asked.has(volume.id));
  if (late)
    throw ec2Failures.state(`Volume ${late.volume.id} was attached meanwhile: send the request again.`);
}

const hasBoot = (specification: InstanceSpecification | undefined) =>
  specification?.ExcludeBootVolume !== true;

/** Whether there is such an instance, the operation says. */
const bootOf = async (services: Ec2Services, scope: Scope, instance: string | undefined) =>
  (await listInstances(services, scope)).find(({ id }) => id === instance)?.boot;

/** @throws InvalidParameterValue for an excluded one that is not attached */
async function attachedTo(
  services: Ec2Services,
  scope: Scope,
  specification: InstanceSpecification | undefined,
): Promise<VolumeFacts[]> {
  const id = checkedId('instance', specification?.InstanceId);
  const { volumes } = await readScope(services, scope);
  const attached = volumes.filter(({ volume }) => volume.attachment?.instance === id);
  const excluded = (specification?.ExcludeDataVolumeIds ?? []).map((text) => checkedId('volume', text));
  const stranger = excluded.find((one) => !attached.some(({ volume }) => volume.id === one));
  if (stranger !== undefined)
    throw ec2Failures.parameter(`Volume ${stranger} of ExcludeDataVolumeIds is not attached to ${id}.`);
  return attached.filter(({ volume }) => !excluded.includes(volume.id));
}
