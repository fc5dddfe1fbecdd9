import type { DescribeTagsCommand, TagDescription } from '@aws-sdk/client-ec2';
import type { Operation } from '@rokka/gateway';
import type { Tag } from '../../tags.ts';
import type { Ec2Services } from '../ec2-context.ts';
import type { ResourceKind } from '../ec2-ids.ts';
import { demandBuilt, scopeOf } from '../ec2-inputs.ts';
import { filtered, type FilterTable, pageOf } from '../ec2-lists.ts';
import { isSeen, seenImages } from '../ec2-lookup.ts';
import { listTaggedInstances } from '../instance-tags.ts';
import { isShown } from '../snapshot-facts.ts';
import { readScope } from '../volume-facts.ts';

/** Those of volumes, snapshots, images and instances. @throws what lists may not be asked */
export const describeTags =
  (services: Ec2Services): Operation<typeof DescribeTagsCommand> =>
  async (input, call) => {
    const scope = scopeOf(call);
    demandBuilt(input, ['Filters', 'MaxResults', 'NextToken']);
    const { volumes, snapshots } = await readScope(services, scope);
    const images = await seenImages(services, scope);
    const instances = await listTaggedInstances(services, scope);
    const all = [
      ...volumes.filter(isSeen).flatMap(({ volume }) => shapes('volume', volume)),
      ...snapshots.filter(isShown).flatMap(({ record }) => shapes('snapshot', record)),
      ...images.flatMap(({ record }) => shapes('image', record)),
      ...instances.flatMap((instance) => shapes('instance', instance)),
    ].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
    const { items, NextToken } = pageOf(services, {
      items: filtered(all, input.Filters, { table: FILTERS, tagsOf }),
      keyOf,
      input,
      scope,
      asked: ['tags'],
    });
    return { Tags: items, ...(NextToken !== undefined && { NextToken }) };
  };

const shapes = (
  ResourceType: ResourceKind,
  { id, tags }: { id: string; tags: readonly Tag[] },
): TagDescription[] => tags.map(({ Key, Value }) => ({ ResourceType, ResourceId: id, Key, Value }));

const keyOf = ({ ResourceId, Key }: TagDescription) => `${ResourceId} ${Key}`;
const tagsOf = ({ Key = '', Value = '' }: TagDescription) => [{ Key, Value }];

/** Those of https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeTags.html */
const FILTERS: FilterTable<TagDescription> = {
  key: ({ Key }) => [Key],
  'resource-id': ({ ResourceId }) => [ResourceId],
  'resource-type': ({ ResourceType }) => [ResourceType],
  value: ({ Value }) => [Value],
};
