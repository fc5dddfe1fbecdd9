/** What whoever opens the volume does: take it over, fence, decide, copy, serve. */
import { asLsn, must } from '@rokka/kernel';
import { Truncation } from '../../truncation.ts';
import type { Bounds } from './bounds.ts';
import {
  higher,
  type LocalStep,
  nodeStep,
  openerStep,
  REGISTRY,
  type Scene,
  type StepKind,
} from './scene.ts';
import { type Fence, NO_SEGMENT } from './segments.ts';
import { type Opener, Violation } from './state.ts';
import { demandNotAnnulled } from './writer-steps.ts';
import { isProtocolError } from './writers.ts';

export function openingSteps(scene: Scene, bounds: Bounds): void {
  if (scene.shared.openers.length < bounds.openings) open(scene);
  for (const [place, opener] of scene.shared.openers.entries()) {
    if (opener.phase === 'gone') continue;
    if (opener.phase === 'fencing') decide(scene, place);
    if (opener.phase === 'decided') {
      copy(scene, place);
      serve(scene, place);
    }
  }
}

/** Raises the volume epoch in the registry, and reads there what holds. */
function open(scene: Scene): void {
  const { shared, layout } = scene;
  const gone = shared.openers.map(({ phase }, place) => (phase === 'fencing' ? place : -1));
  const openers = shared.openers.map((opener): Opener =>
    opener.phase === 'fencing' ? { ...opener, phase: 'gone', known: [] } : opener,
  );
  const opener: Opener = { phase: 'fencing', membership: shared.membership, known: shared.ranges };
  scene.moveAll(openerStep('open', openers.length), 'open', {
    shared: () => ({ ...shared, openers: [...openers, opener] }),
    column: (slot) => {
      const column = [...scene.columns[slot]];
      for (const place of gone) {
        if (place < 0) continue;
        column[layout.view(place)] = 0;
        for (let node = 0; node < scene.nodesPerSlot; node++) column[layout.first(node, place)] = 0;
      }
      return layout.grown(column);
    },
  });
}

/** Fences that may arrive at the nodes of a slot, the first time and again; a newcomer's segment is made by its first. */
export function fencesOf(scene: Scene, bounds: Bounds, slot: number): LocalStep[] {
  const steps: LocalStep[] = [];
  const push = (kind: StepKind, opener: number, node: number, column: number[]) => {
    if (column.some((number, at) => number !== scene.columns[slot][at]))
      steps.push({ kind, opener, node, detail: -1, column: scene.cores.columnId(column) });
  };
  for (const [place, { phase }] of scene.shared.openers.entries()) {
    if (phase === 'gone') continue;
    for (let node = 0; node < scene.nodesPerSlot; node++) {
      if (!scene.takesPart(slot, node, place)) continue;
      const column = fenced(scene, place, { slot, node });
      if (!column) continue;
      push('fence', place, node, column);
      if (!bounds.lostAnswers || phase !== 'fencing') continue;
      const unheard = [...column];
      const at = scene.layout.first(node, place);
      unheard[at] = scene.columns[slot][at];
      push('lost answer', place, node, unheard);
    }
  }
  return steps;
}

/** The column after it; undefined where the node must refuse. */
function fenced(scene: Scene, place: number, of: { slot: number; node: number }): number[] | undefined {
  const { slot, node } = of;
  const { segments, rules } = scene.cores;
  const { phase, membership, decided, known } = scene.opener(place);
  const volumeEpoch = place + 1;
  const request: Fence = { volumeEpoch, membership, ranges: decided?.ranges ?? known };
  const found = scene.segment(slot, node);
  const segment = found === NO_SEGMENT ? segments.empty({ volumeEpoch, membership, hydrating: true }) : found;
  const own = segments.at(segment);
  if (own.volumeEpoch > volumeEpoch || own.membership.epoch > membership.epoch) return undefined;
  const binds = rules.fenceBinds || phase !== 'fencing' || found === NO_SEGMENT;
  const after = binds ? obeys(() => segments.fence(segment, request, JSON.stringify(request))) : segment;
  const column = scene.withSegment(slot, node, after);
  record(scene, place, { slot, node, segment: after }, column);
  return column;
}

/** The answer arrives: what the opener will know of the node. */
function record(
  scene: Scene,
  place: number,
  from: { slot: number; node: number; segment: number },
  column: number[],
): void {
  const { cores, layout } = scene;
  const { slot, node, segment } = from;
  const { phase } = scene.opener(place);
  const answer = cores.segments.answerOf(segment);
  if (phase === 'fencing') column[layout.first(node, place)] = answer;
  if (phase !== 'decided') return;
  const index = cores.memberships.nodeAt(slot, node);
  const clipped = obeys(() =>
    cores.recoveries.clipped(scene.opening(place), scene.first(place), answer, index),
  );
  column[layout.second(node, place)] = clipped;
}

/** Decides, and has the range decided in the registry, which refuses whoever was superseded. */
function decide(scene: Scene, place: number): void {
  const { cores, layout, shared } = scene;
  if (!scene.isCurrent(place)) return;
  const decided = obeys(() => cores.recoveries.decide(scene.opening(place), scene.first(place)));
  if (!decided) return;
  const { vdl, nextLsn, range, ranges, answers } = decided;
  if (vdl < shared.promised)
    scene.breach('I1', `LSN ${shared.promised} was acknowledged, recovery found ${vdl}`);
  const registered = [...shared.ranges, range];
  if (Truncation.of(registered).covers(shared.promised))
    scene.breach('I2', `LSN ${shared.promised} was acknowledged, and is annulled`);
  const opener = { phase: 'decided' as const, decided: { vdl, nextLsn, range, ranges } };
  scene.moveAll(openerStep('decide', place, vdl), `decide ${place} ${JSON.stringify(opener)}`, {
    shared: () => ({ ...shared, openers: scene.withOpener(place, opener), ranges: registered }),
    column: (slot) => {
      const column = [...scene.columns[slot]];
      for (let node = 0; node < scene.nodesPerSlot; node++)
        column[layout.first(node, place)] = answers[cores.memberships.nodeAt(slot, node)];
      return column;
    },
  });
}

/** Records that a member lacks, from one that has them; both must obey this opener. Its next fence tells how it came out. */
function copy(scene: Scene, place: number): void {
  const { cores } = scene;
  const { segments } = cores;
  const { membership } = scene.opener(place);
  const obeysHim = (segment: number) => {
    if (segment === NO_SEGMENT) return false;
    const own = segments.at(segment);
    return own.volumeEpoch === place + 1 && own.membership.epoch === membership.epoch;
  };
  const { repairs } = standingOf(scene, place);
  for (const { target, after, through, sources } of repairs) {
    const [slot, node] = placeOf(scene, target);
    const segment = scene.segment(slot, node);
    if (scene.isTwin(slot) || !obeysHim(segment)) continue;
    const source = sources.find((one) => obeysHim(scene.segment(...placeOf(scene, one))));
    if (source === undefined) continue;
    const from = scene.segment(...placeOf(scene, source));
    const filled = segments.copy(segment, from, { after, through });
    if (filled === segment) continue;
    const column = cores.columnId(scene.withSegment(slot, node, filled));
    scene.moveOne(nodeStep('copy', place, slot, node, source), column);
  }
}

function serve(scene: Scene, place: number): void {
  const { cores, layout, shared } = scene;
  const { kept, canServe } = standingOf(scene, place);
  if (!canServe) return;
  const start = cores.recoveries.start(scene.opening(place), scene.first(place), scene.second(place));
  const [group] = start.groups;
  const lastLsn = must(group).lastLsn;
  demandWhole(scene, place, kept ?? lastLsn);
  demandNotAnnulled(scene, place, start.vdl);
  // Whoever reads now sees all that was kept, so from here on it may not be lost either.
  const promised = higher(shared.promised, start.vdl);
  const writer = { kept: lastLsn, nextLsn: start.nextLsn, sent: [], pgcl: lastLsn };
  scene.moveAll(openerStep('serve', place, start.vdl), `serve ${place} ${JSON.stringify(writer)}`, {
    shared: () => ({ ...shared, promised, openers: scene.withOpener(place, { phase: 'serving', writer }) }),
    column: (slot) => {
      const column = [...scene.columns[slot]];
      for (let node = 0; node < scene.nodesPerSlot; node++) {
        const segment = scene.segment(slot, node);
        const name = cores.memberships.nameOf(cores.memberships.nodeAt(slot, node));
        const scl = must(group).scls.get(name);
        const known = scl === undefined ? 0 : scl + 1;
        const obeysHim = segment !== NO_SEGMENT && cores.segments.at(segment).volumeEpoch === place + 1;
        const tells = obeysHim && scene.takesPart(slot, node, place) ? scene.ackOf(segment) : 0;
        column[layout.first(node, place)] = known;
        column[layout.second(node, place)] = Math.max(known, tells);
      }
      return column;
    },
  });
}

/** What a recovery believes must be so: everything that was kept lies on a write quorum. */
function demandWhole(scene: Scene, place: number, kept: number): void {
  const { cores } = scene;
  if (cores.rules.serveWhen !== 'whole on a write quorum' || kept === 0) return;
  const holders = scene.nodes((segment) => cores.segments.holds(segment, asLsn(kept)));
  if (!cores.memberships.canWrite(scene.statuses(place), holders))
    scene.breach('I1', `opening ${place + 1} serves, and LSN ${kept} is on no write quorum`);
}

function standingOf(scene: Scene, place: number) {
  return scene.cores.recoveries.standing(scene.opening(place), scene.first(place), scene.second(place));
}

function placeOf({ nodesPerSlot }: Scene, index: number): [number, number] {
  return [Math.floor(index / nodesPerSlot), index % nodesPerSlot];
}

/** @throws Violation where the core says that the protocol was broken */
function obeys<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (isProtocolError(error)) throw new Violation('refused', (error as Error).message);
    throw error;
  }
}

/** For the state after a step: what must hold whatever comes next. */
export function demandKept(scene: Scene): void {
  const { cores, shared } = scene;
  const authors: number[] = [];
  scene.nodes((segment) => {
    const annulled = cores.segments.annulled(segment);
    if (annulled !== undefined)
      scene.breach('I2', `a node counts LSN ${annulled}, which it knows to be annulled`);
    const { epoch, author } = cores.segments.at(segment).membership;
    authors[epoch] ??= author;
    if (authors[epoch] !== author)
      scene.breach('I9', `membership epoch ${epoch} means two things on two nodes`);
    return false;
  });
  if (shared.promised === 0) return;
  const blind = scene.nodes((segment) => {
    const unknown = cores.rules.hydratingIsUnknown && cores.segments.at(segment).hydrating;
    return !unknown && !cores.segments.holds(segment, shared.promised);
  });
  if (cores.memberships.canRead(scene.statuses(REGISTRY), blind))
    scene.breach('I10', `LSN ${shared.promised} was acknowledged, and a read quorum does not have it`);
}
