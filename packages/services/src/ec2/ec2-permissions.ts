/** What a call must be allowed to act on: ARNs, and the tags of what is there already. */
import type { TagSpecification } from '@aws-sdk/client-ec2';
import type { ResourceAsk } from '@rokka/gateway';
import type { Scope } from '../scope.ts';
import type { Tag } from '../tags.ts';
import { ec2Arn } from './ec2-arns.ts';
import type { Ec2Services } from './ec2-context.ts';
import type { ResourceKind } from './ec2-ids.ts';
import { checkedId } from './ec2-inputs.ts';
import { recordKeys, type VolumeRecord } from './ec2-records.ts';
import { readImages } from './image-facts.ts';
import { readInstanceTags } from './instance-tags.ts';
import { listAssociations, readAssociation } from './profile-associations.ts';
import { readSnapshots } from './snapshot-facts.ts';

/** Of one that should be there; whether it is, its operation says. @throws for what is no id of the kind */
export async function askFor(
  services: Ec2Services,
  scope: Scope,
  [kind, text]: readonly [ResourceKind, id: string | undefined],
): Promise<ResourceAsk> {
  const id = checkedId(kind, text);
  const tags = await tagsOf(services, scope, [kind, id]);
  const keys = tags.flatMap(({ Key, Value }) => [
    [`aws:ResourceTag/${Key}`, Value],
    [`ec2:ResourceTag/${Key}`, Value],
  ]);
  const profile = kind === 'instance' ? await readAssociation(services.store, scope, id) : undefined;
  return {
    arn: ec2Arn(scope, kind, id),
    conditions: {
      ...Object.fromEntries(keys),
      ...(profile && { 'ec2:InstanceProfile': profile.profile.arn }),
    },
  };
}

/** Of the instance that has this association; whether there is one, the operation says. */
export async function askForAssociated(
  services: Ec2Services,
  scope: Scope,
  associationId: string | undefined,
): Promise<ResourceAsk> {
  const found = (await listAssociations(services.store, scope)).find(({ id }) => id === associationId);
  return found
    ? askFor(services, scope, ['instance', found.instance])
    : { arn: ec2Arn(scope, 'instance', '*') };
}

/** Of what a call makes, and for tagging it where it comes with tags. */
export function askForNew(
  scope: Scope,
  kind: ResourceKind,
  of: { operation: string; tags: readonly TagSpecification[] | undefined },
): ResourceAsk[] {
  const arn = ec2Arn(scope, kind, '*');
  const isTagged = of.tags?.some(({ Tags = [] }) => Tags.length > 0) === true;
  const own = { arn, tagged: kind };
  const tagging = { ...own, action: 'ec2:CreateTags', conditions: { 'ec2:CreateAction': of.operation } };
  return isTagged ? [own, tagging] : [own];
}

async function tagsOf(
  services: Ec2Services,
  scope: Scope,
  [kind, id]: readonly [ResourceKind, string],
): Promise<readonly Tag[]> {
  if (kind === 'volume')
    return (await services.store.get<VolumeRecord>(recordKeys.volume(scope, id)))?.tags ?? [];
  if (kind === 'instance') return readInstanceTags(services.store, scope, id);
  if (kind === 'image')
    return (await readImages(services, scope)).find(({ record }) => record.id === id)?.record.tags ?? [];
  return (await readSnapshots(services, scope)).find(({ record }) => record.id === id)?.record.tags ?? [];
}
