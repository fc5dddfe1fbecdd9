/** What the writer of the volume, or its recovery, does about the membership: each change is decided in the registry first. */
import { must } from '@rokka/kernel';
import type { Bounds } from './bounds.ts';
import { candidateOf, type Change, SLOTS, unpackStatus } from './memberships.ts';
import { nodeStep, openerStep, REGISTRY, type Scene, type StepKind } from './scene.ts';
import { NO_SEGMENT } from './segments.ts';
import { Layout, type Opener } from './state.ts';
import { promise, tracked } from './writer-steps.ts';

export function membershipSteps(scene: Scene, bounds: Bounds): void {
  for (const [place, opener] of scene.shared.openers.entries()) {
    if (opener.phase === 'serving') {
      adopt(scene, place, opener);
      change(scene, bounds, place);
    } else if (opener.phase === 'fencing' && (bounds.force || bounds.giveUp)) {
      wayOut(scene, bounds, place);
    }
  }
}

/** Whether the registry would take a change that is based on this opener's view. */
function mayChange(scene: Scene, place: number): boolean {
  if (!scene.cores.rules.compareAndSet) return true;
  return scene.isCurrent(place) && scene.opener(place).membership.epoch === scene.shared.membership.epoch;
}

function change(scene: Scene, bounds: Bounds, place: number): void {
  if (!mayChange(scene, place)) return;
  const { memberships } = scene.cores;
  const statuses = scene.statuses(place);
  for (let slot = 0; slot < SLOTS; slot++) {
    if (scene.isTwin(slot)) continue;
    const of = changeOf(scene, place, slot);
    if (candidateOf(must(statuses[slot])) === 0) {
      if (!mayBegin(scene, bounds, slot)) continue;
      const after = memberships.begin(statuses, { ...noChange(scene, slot), lastLsn: of.lastLsn });
      if (after) decide(scene, 'begin', { place, slot, after });
      continue;
    }
    const finished = memberships.finish(statuses, of);
    if (finished) {
      demandHydrated(scene, slot, place);
      decide(scene, 'finish', { place, slot, after: finished });
    }
    const reverted = memberships.revert(statuses, of);
    if (reverted) decide(scene, 'revert', { place, slot, after: reverted });
  }
}

/** From within a recovery, which has no SCLs of a writer, but members that obey it. */
function wayOut(scene: Scene, bounds: Bounds, place: number): void {
  if (!mayChange(scene, place)) return;
  const { cores } = scene;
  const fenced = scene
    .first(place)
    .reduce((bits, answer, index) => (answer === 0 ? bits : bits | (1 << index)), 0);
  // The last record that anybody speaks of; a recovery does not know what else was allocated.
  const lastLsn = scene
    .first(place)
    .reduce((lsn, answer) => Math.max(lsn, cores.segments.answer(answer, place + 1).scl), 0);
  for (let slot = 0; slot < SLOTS; slot++) {
    if (scene.isTwin(slot)) continue;
    const of = { ...noChange(scene, slot), lastLsn, fenced };
    const runs = candidateOf(scene.statusAt(slot, place)) !== 0;
    if (runs && bounds.giveUp) {
      const after = cores.memberships.giveUp(scene.statuses(place), of);
      if (after) enter(scene, 'give up', { place, slot, after });
    } else if (!runs && bounds.force && mayBegin(scene, bounds, slot)) {
      const after = cores.memberships.force(scene.statuses(place), of);
      if (after) enter(scene, 'force', { place, slot, after });
    }
  }
}

/** The registry has it, and the recovery goes on by it: members must obey it before they count again. */
function enter(
  scene: Scene,
  kind: 'force' | 'give up',
  of: { place: number; slot: number; after: readonly number[] },
): void {
  const { place, slot, after } = of;
  const { layout, shared } = scene;
  const joins = kind === 'force' ? 1 : 0;
  const membership = { epoch: shared.membership.epoch + 1, author: place + 1 };
  const openers = () => scene.withOpener(place, { membership });
  scene.moveAll(nodeStep(kind, place, slot, 0), `${kind} ${place}`, {
    shared: () => ({ ...shared, membership, openers: openers(), begun: shared.begun + joins }),
    column: (at) => {
      const column = [...scene.columns[at]];
      column[Layout.registry] = after[at];
      column[layout.view(place)] = after[at];
      if (at === slot) column[Layout.used] += joins;
      for (let node = 0; node < scene.nodesPerSlot; node++) column[layout.first(node, place)] = 0;
      return column;
    },
  });
}

/** The registry has it; the writer goes on as before until it takes note. */
function decide(
  scene: Scene,
  kind: StepKind,
  of: { place: number; slot: number; after: readonly number[] },
): void {
  const { place, slot, after } = of;
  const { shared } = scene;
  const membership = { epoch: scene.opener(place).membership.epoch + 1, author: place + 1 };
  const begun = shared.begun + (kind === 'begin' ? 1 : 0);
  scene.moveAll(nodeStep(kind, place, slot, 0), `${kind} ${place}`, {
    shared: () => ({ ...shared, membership, begun }),
    column: (at) => {
      const column = [...scene.columns[at]];
      column[Layout.registry] = after[at];
      if (at === slot && kind === 'begin') column[Layout.used] += 1;
      return column;
    },
  });
}

/** The writer goes by what the registry says, if that is its own decision. */
function adopt(scene: Scene, place: number, opener: Opener): void {
  const { cores, layout, shared } = scene;
  const { membership } = shared;
  if (membership.author !== place + 1 || membership.epoch <= opener.membership.epoch) return;
  const writer = must(opener.writer);
  const progress = tracked(() =>
    cores.writers.adopted(writer, {
      before: scene.statuses(place),
      after: scene.statuses(REGISTRY),
      known: scene.known(place),
    }),
  );
  const promised = promise(scene, place, progress, REGISTRY);
  const { pgcl } = progress;
  const openers = () => scene.withOpener(place, { membership, writer: { ...writer, pgcl } });
  scene.moveAll(openerStep('adopt', place), `adopt ${place} ${pgcl} ${promised}`, {
    shared: () => ({ ...shared, openers: openers(), promised }),
    column: (slot) => {
      const column = [...scene.columns[slot]];
      column[layout.view(place)] = column[Layout.registry];
      for (let node = 0; node < scene.nodesPerSlot; node++) {
        if (scene.takesPart(slot, node, REGISTRY)) continue;
        column[layout.first(node, place)] = 0;
        column[layout.second(node, place)] = 0;
      }
      return column;
    },
  });
}

/** I11: a member of a finished set has what was durable when it came. */
function demandHydrated(scene: Scene, slot: number, place: number): void {
  const { segments } = scene.cores;
  const { candidate, promised } = unpackStatus(scene.statusAt(slot, place));
  const segment = scene.segment(slot, candidate);
  if (segment === NO_SEGMENT) scene.breach('I11', 'a member of the finished set was never made');
  else if (promised > 0 && !segments.holds(segment, promised))
    scene.breach('I11', `LSN ${promised} was durable when a newcomer came, and it stays without it`);
}

function mayBegin(scene: Scene, bounds: Bounds, slot: number): boolean {
  return scene.shared.begun < bounds.changes && scene.columns[slot][Layout.used] + 1 < scene.nodesPerSlot;
}

function changeOf(scene: Scene, place: number, slot: number): Change {
  const writer = must(scene.opener(place).writer);
  const { writers } = scene.cores;
  return {
    ...noChange(scene, slot),
    lastLsn: writers.lastLsn(writer),
    pgcl: writer.pgcl,
    scls: scene.known(place),
  };
}

function noChange(scene: Scene, slot: number): Change {
  const { shared } = scene;
  const joins = scene.columns[slot][Layout.used] + 1;
  return { slot, joins, lastLsn: 0, pgcl: 0, scls: [], fenced: 0, promised: shared.promised };
}
