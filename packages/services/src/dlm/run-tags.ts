/** Snapshots that a command has made become those of a policy: by their tags, one write of each. */
import type { Ec2Services } from '../ec2/ec2-context.ts';
import { tagRules } from '../ec2/ec2-inputs.ts';
import { copiedTags } from '../ec2/snapshot-claims.ts';
import { changeSnapshot, type SnapshotFacts } from '../ec2/snapshot-facts.ts';
import { readScope } from '../ec2/volume-facts.ts';
import type { Scope } from '../scope.ts';
import { type Tag, withTags } from '../tags.ts';
import { MARK } from './run-snapshots.ts';

/** Said again, it changes nothing. @throws TagLimitExceeded */
export async function tagMade(
  services: Ec2Services,
  scope: Scope,
  of: { made: readonly SnapshotFacts[]; tags: readonly Tag[]; copiesTags: boolean },
): Promise<void> {
  const { volumes } = await readScope(services, scope);
  for (const facts of of.made) {
    const volume = volumes.find((each) => each.volume.id === facts.record.volume.id);
    const copied = of.copiesTags ? copiedTags(volume?.volume.tags ?? []) : [];
    await changeSnapshot(services.store, scope, {
      facts,
      change: (found) => {
        const own = found.tags.filter(({ Key }) => Key !== MARK);
        return { ...found, tags: withTags(copied, [...own, ...of.tags], tagRules) };
      },
    });
  }
}
