/** What a snapshot says of itself: its tags, and the lines that people read. Pure. */
import type { Outcome } from '@rokka/snapshots';
import type { Tag } from './tag-list.ts';

const TAG_CHARACTERS_MAX = 256;

export const VSS_CONFIG = 'AwsVssConfig';

/** Only where it is so: that it is not there is how a failure is told. */
export const APP_CONSISTENT: Tag = { Key: 'AppConsistent', Value: 'True' };

/**
 * The tags that each snapshot of the set has in any case.
 * @param device `/dev/sdf`: where a volume that is made of it belongs; undefined where that is not known
 */
export function tagsOf(outcome: Outcome, device: string | undefined): Tag[] {
  return [
    ...(device === undefined ? [] : [{ Key: 'Device', Value: device }]),
    { Key: VSS_CONFIG, Value: configOf(outcome) },
  ];
}

/** As much as a tag has room for: the writers last, and as many as fit. */
function configOf({ set, level, writers, frozenForMs }: Outcome): string {
  const facts = {
    level,
    set: set?.id,
    // Without it nobody could tell a set of which one snapshot was deleted.
    size: set?.snapshots.length,
    heldMs: set?.heldMs,
    frozenMs: frozenForMs === undefined ? undefined : Math.round(frozenForMs),
  };
  const positions: Record<string, string> = {};
  let text = JSON.stringify(facts);
  for (const { id, frozen } of writers) {
    positions[id] = frozen?.position ?? '';
    const longer = JSON.stringify({ ...facts, writers: positions });
    if (longer.length > TAG_CHARACTERS_MAX) break;
    text = longer;
  }
  return text;
}

/** For people: what was made, what it is worth, and why it is not worth more. */
export function linesOf(outcome: Outcome): string[] {
  const { set, level, reasons, writers, frozenForMs } = outcome;
  const made = set
    ? [
        `Snapshot set ${set.id}, level ${level}:`,
        ...set.snapshots.map(({ snapshot, volume }) => `  ${snapshot} of ${volume}`),
        ...(set.also ?? []).flatMap(({ id, snapshots }) => [
          `Local snapshot set ${id}, of the same level:`,
          ...snapshots.map(({ snapshot, volume }) => `  ${snapshot} of ${volume}`),
        ]),
        `Programs stood still for ${set.heldMs ?? '?'} ms; writers were frozen for ${Math.round(frozenForMs ?? 0)} ms.`,
      ]
    : ['No snapshots were made.'];
  const spoken = writers.map(({ id, state, frozen, why }) => {
    const position = frozen?.position === undefined ? '' : ` at ${frozen.position}`;
    return `  ${id}: ${state}${position}${why === undefined ? '' : `: ${why}`}`;
  });
  return [
    ...made,
    ...(spoken.length > 0 ? ['Writers:', ...spoken] : []),
    ...reasons.map((reason) => `Not consistent for applications: ${reason}`),
  ];
}
