/**
 * Tags of machines: all that is kept of them. The record's key is the machine's, so one write decides; where the last tag goes, it
 * goes.
 */
import type { Registry } from '@rokka/registry';
import { RecordStore } from '../record-store.ts';
import type { Scope } from '../scope.ts';
import type { Tag } from '../tags.ts';
import type { Ec2Context } from './ec2-context.ts';
import { type InstanceTagsRecord, recordKeys, recordPrefixes } from './ec2-records.ts';
import { type InstanceFacts, listInstances } from './instances.ts';

interface TaggedInstance extends InstanceFacts {
  readonly tags: readonly Tag[];
}

/** In the order of their ids. @throws errors of the registry */
export async function listTaggedInstances(
  of: Pick<Ec2Context, 'machines'> & { readonly registry: Registry },
  scope: Scope,
): Promise<TaggedInstance[]> {
  const records = await listInstanceTags(new RecordStore({ registry: of.registry, service: 'ec2' }), scope);
  return (await listInstances(of, scope)).map((each) => ({ ...each, tags: tagsIn(records, each.id) }));
}

/** Also of machines that are gone. */
export const listInstanceTags = (store: RecordStore, scope: Scope) =>
  store.list<InstanceTagsRecord>(recordPrefixes.instanceTags(scope));

export const tagsIn = (records: readonly InstanceTagsRecord[], id: string): readonly Tag[] =>
  records.find(({ instance }) => instance === id)?.tags ?? [];

export async function readInstanceTags(
  store: RecordStore,
  scope: Scope,
  instance: string,
): Promise<readonly Tag[]> {
  return (await store.get<InstanceTagsRecord>(recordKeys.instanceTags(scope, instance)))?.tags ?? [];
}

/** `change` may run several times, and may throw. */
export async function changeInstanceTags(
  store: RecordStore,
  scope: Scope,
  of: { instance: string; change: (tags: readonly Tag[]) => readonly Tag[] },
): Promise<void> {
  const { instance, change } = of;
  await store.enter(scope);
  await store.change<InstanceTagsRecord>(recordKeys.instanceTags(scope, instance), (found) => {
    const tags = change(found?.tags ?? []);
    return tags.length === 0 ? undefined : { instance, tags };
  });
}
