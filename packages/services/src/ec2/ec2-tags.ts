/** Tags of volumes, snapshots, images and instances, several at once. The disks of machines have none: nothing is kept of them. */
import type { ResourceAsk } from '@rokka/gateway';
import type { Scope } from '../scope.ts';
import type { Tag } from '../tags.ts';
import type { Ec2Services } from './ec2-context.ts';
import { ec2Failures } from './ec2-failures.ts';
import { PREFIXES, type ResourceKind } from './ec2-ids.ts';
import { checkedId } from './ec2-inputs.ts';
import { findImage, findSnapshot, findVolume } from './ec2-lookup.ts';
import { askFor } from './ec2-permissions.ts';
import { changeImage } from './image-facts.ts';
import { changeInstanceTags, readInstanceTags } from './instance-tags.ts';
import { findInstance } from './instances.ts';
import { changeSnapshot } from './snapshot-facts.ts';
import { changeVolume } from './volume-changes.ts';

type Change = (tags: readonly Tag[]) => readonly Tag[];
/** Makes the write. False where it was removed meanwhile. */
type Write = () => Promise<boolean>;

const RESOURCES_MAX = 1000;

export function askForTagged(
  services: Ec2Services,
  scope: Scope,
  ids: readonly string[] | undefined,
): Promise<ResourceAsk[]> {
  return Promise.all((ids ?? []).map((id) => askFor(services, scope, [kindOf(id), id])));
}

/**
 * All of them are looked at before the first is changed: where one is not there, or would have too many, nothing is.
 * @throws the kind's NotFound, OperationNotPermitted, InvalidID, and what `change` throws
 */
export async function changeTags(
  services: Ec2Services,
  scope: Scope,
  of: { ids: readonly string[] | undefined; change: Change },
): Promise<void> {
  const ids = [...new Set(of.ids ?? [])];
  if (ids.length === 0) throw ec2Failures.missing('resourceIdSet');
  if (ids.length > RESOURCES_MAX)
    throw ec2Failures.parameter(`At most ${RESOURCES_MAX} resources can be tagged at once.`);
  const writes: [id: string, Write][] = [];
  for (const id of ids) writes.push([id, await prepared(services, scope, { id, change: of.change })]);
  for (const [id, write] of writes) if (!(await write())) throw ec2Failures.notFound(kindOf(id), [id]);
}

async function prepared(
  services: Ec2Services,
  scope: Scope,
  { id, change }: { id: string; change: Change },
): Promise<Write> {
  const kind = kindOf(id);
  if (kind === 'instance') {
    await findInstance(services, scope, id);
    change(await readInstanceTags(services.store, scope, id));
    return async () => {
      await changeInstanceTags(services.store, scope, { instance: id, change });
      return true;
    };
  }
  if (kind === 'volume') {
    const facts = await findVolume(services, scope, id);
    change(facts.volume.tags);
    return async () => {
      await changeVolume(services, scope, {
        facts,
        change: (found) => ({ ...found, tags: change(found.tags) }),
      });
      return true;
    };
  }
  if (kind === 'image') {
    const facts = await findImage(services, scope, id);
    change(facts.record.tags);
    return () =>
      changeImage(services.store, scope, {
        facts,
        change: (found) => ({ ...found, tags: change(found.tags) }),
      });
  }
  const facts = await findSnapshot(services, scope, id);
  change(facts.record.tags);
  return () =>
    changeSnapshot(services.store, scope, {
      facts,
      change: (found) => ({ ...found, tags: change(found.tags) }),
    });
}

/** @throws InvalidID, Invalid…ID.Malformed */
function kindOf(id: string): ResourceKind {
  const kinds = Object.keys(PREFIXES) as ResourceKind[];
  const kind = kinds.find((each) => id.startsWith(PREFIXES[each]));
  if (!kind) throw ec2Failures.id(id);
  checkedId(kind, id);
  return kind;
}
