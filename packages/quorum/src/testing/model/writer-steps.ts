/** What serving writers and their nodes do: write, ship, acknowledge, gossip. */
import { asLsn, type Lsn, must } from '@rokka/kernel';
import { LSN_MAX, type Bounds } from './bounds.ts';
import { SLOTS } from './memberships.ts';
import { higher, type LocalStep, nodeStep, openerStep, type Scene, type Step } from './scene.ts';
import { NO_SEGMENT } from './segments.ts';
import { Violation } from './state.ts';
import { isProtocolError, type Progress, type WriterState } from './writers.ts';

export function writerSteps(scene: Scene, bounds: Bounds): void {
  for (const [place, { writer }] of scene.shared.openers.entries()) {
    if (!writer) continue;
    write(scene, bounds, place, writer);
    if (bounds.acks === 'late') acknowledge(scene, place);
  }
}

function write(scene: Scene, bounds: Bounds, place: number, writer: WriterState): void {
  if (writer.sent.length >= bounds.records || !scene.cores.writers.hasRoom(writer)) return;
  const lsn = asLsn(writer.nextLsn + writer.sent.length);
  if (lsn > LSN_MAX) throw new Error(`the bounds are too wide: LSN ${lsn} is above ${LSN_MAX}`);
  for (const [other, { writer: theirs, decided }] of scene.shared.openers.entries()) {
    if (other === place) continue;
    const used = theirs && lsn >= theirs.nextLsn && lsn < theirs.nextLsn + theirs.sent.length;
    if (used) scene.breach('I14', `LSN ${lsn} is given to two records`);
    if (other > place && decided && lsn > decided.range.through)
      scene.breach('I14', `LSN ${lsn} of opening ${place + 1} lies beyond the range of ${other + 1}`);
  }
  const sent = [...writer.sent, scene.opener(place).membership.epoch];
  scene.moveAll(openerStep('write', place, lsn), `write ${place}`, {
    shared: () => ({ ...scene.shared, openers: scene.withWriter(place, { sent }) }),
  });
}

/** Ships that may arrive at the nodes of a slot. */
export function shipsTo(scene: Scene, bounds: Bounds, slot: number): LocalStep[] {
  return scene.shared.openers.flatMap(({ writer }, place) =>
    writer ? shipsOf(scene, bounds, { place, writer, slot }) : [],
  );
}

function shipsOf(
  scene: Scene,
  bounds: Bounds,
  of: { place: number; writer: WriterState; slot: number },
): LocalStep[] {
  const { place, writer, slot } = of;
  const { segments, rules, writers } = scene.cores;
  const view = scene.opener(place).membership.epoch;
  const vdl = bounds.hints ? writers.vdl(writer) : asLsn(0);
  const steps: LocalStep[] = [];
  for (let node = 0; node < scene.nodesPerSlot; node++) {
    const segment = scene.segment(slot, node);
    if (segment === NO_SEGMENT) continue;
    const { volumeEpoch, membership } = segments.at(segment);
    if (volumeEpoch !== place + 1) continue;
    for (const [index, sentUnder] of writer.sent.entries()) {
      // Under every membership between that of its first sending and the writer's, a copy may be on its way.
      const fits = membership.epoch >= sentUnder && membership.epoch <= view;
      if (rules.membershipBinds && !fits) continue;
      const { lsn, previous } = writers.link(writer, index);
      const after = segments.ship(segment, { lsn, previous, by: place + 1 }, vdl);
      if (after === segment || (!bounds.overtaking && segments.scl(after) === segments.scl(segment)))
        continue;
      const column = scene.cores.columnId(scene.withSegment(slot, node, after));
      steps.push({ kind: 'ship', opener: place, node, detail: lsn, column });
    }
  }
  return steps;
}

function acknowledge(scene: Scene, place: number): void {
  const fresh = freshAcks(scene, place);
  if (!fresh) return;
  for (let slot = 0; slot < SLOTS; slot++) {
    if (scene.isTwin(slot)) continue;
    for (let node = 0; node < scene.nodesPerSlot; node++) {
      const index = scene.cores.memberships.nodeAt(slot, node);
      if (fresh[index] === 0) continue;
      const one = fresh.map((ack, at) => (at === index ? ack : 0));
      arrive(scene, place, nodeStep('ack', place, slot, node, fresh[index] - 1), one);
    }
  }
}

/** All acks that are on their way arrive. Answers whether there were any. */
export function acknowledgeAll(scene: Scene, step: Step): boolean {
  for (const [place, { writer }] of scene.shared.openers.entries()) {
    const fresh = writer && freshAcks(scene, place);
    if (!fresh) continue;
    arrive(scene, place, step, fresh);
    return true;
  }
  return false;
}

/** By node, what acks on their way say that is not known yet, + 1; 0 for nothing. */
function freshAcks(scene: Scene, place: number): number[] | undefined {
  const known = scene.first(place);
  const onTheirWay = scene.second(place);
  if (onTheirWay.every((ack, index) => ack <= known[index])) return undefined;
  return onTheirWay.map((ack, index) => (ack > known[index] ? ack : 0));
}

/** `acks` by node, + 1; 0 for none. */
function arrive(scene: Scene, place: number, step: Step, acks: readonly number[]): void {
  const { cores, layout, shared } = scene;
  const writer = must(scene.opener(place).writer);
  const progress = tracked(() =>
    cores.writers.acknowledged(writer, {
      statuses: scene.statuses(place),
      known: scene.known(place),
      acks: acks.map((ack) => (ack === 0 ? undefined : ack - 1)),
    }),
  );
  const promised = promise(scene, place, progress);
  const openers = () => scene.withWriter(place, { pgcl: progress.pgcl });
  scene.moveAll(step, `pgcl ${place} ${progress.pgcl} ${promised}`, {
    shared: () => ({ ...shared, openers: openers(), promised }),
    column: (slot) => {
      const column = [...scene.columns[slot]];
      for (let node = 0; node < scene.nodesPerSlot; node++) {
        const ack = acks[cores.memberships.nodeAt(slot, node)];
        if (ack > 0) column[layout.first(node, place)] = ack;
      }
      return column;
    },
  });
}

/** @throws Violation where the tracker says that the protocol was broken */
export function tracked(work: () => Progress): Progress {
  try {
    return work();
  } catch (error) {
    if (isProtocolError(error)) throw new Violation('refused', (error as Error).message);
    throw error;
  }
}

/** The VDL is what clients are told; `view` is where the membership stands by which it was found. Answers the highest that they know of now. */
export function promise(scene: Scene, place: number, { pgcl, vdl }: Progress, view = place) {
  const { cores, shared } = scene;
  const before = must(scene.opener(place).writer);
  if (pgcl < before.pgcl) scene.breach('I6', `PGCL fell from ${before.pgcl} to ${pgcl}`);
  const vdlBefore = cores.writers.vdl(before);
  if (vdl < vdlBefore) scene.breach('I6', `VDL fell from ${vdlBefore} to ${vdl}`);
  if (vdl === vdlBefore) return shared.promised;
  demandNotAnnulled(scene, place, vdl);
  const holders = scene.nodes((segment) => cores.segments.holds(segment, vdl));
  if (!cores.memberships.canWrite(scene.statuses(view), holders))
    scene.breach('I6', `LSN ${vdl} was acknowledged, and is on no write quorum`);
  return higher(shared.promised, vdl);
}

/** What an opening tells clients may not lie above what a later one has decided to keep. */
export function demandNotAnnulled(scene: Scene, place: number, vdl: Lsn): void {
  for (const [other, { decided }] of scene.shared.openers.entries())
    if (other > place && decided && vdl > decided.vdl)
      scene.breach('I1', `opening ${place + 1} vouches for LSN ${vdl}, ${other + 1} had annulled it`);
}

export function gossipSteps(scene: Scene, bounds: Bounds): void {
  const { segments } = scene.cores;
  for (let slot = 0; slot < SLOTS; slot++) {
    if (scene.isTwin(slot)) continue;
    for (let node = 0; node < scene.nodesPerSlot; node++) {
      const segment = scene.segment(slot, node);
      if (segment === NO_SEGMENT) continue;
      if (bounds.gossip === 'all' || segments.at(segment).hydrating)
        listen(scene, bounds, { slot, node, segment });
    }
  }

  function listen(scene: Scene, bounds: Bounds, to: { slot: number; node: number; segment: number }): void {
    const { slot, node, segment } = to;
    const own = segments.at(segment);
    const heard: number[] = [];
    for (let other = 0; other < SLOTS; other++) {
      for (let peer = 0; peer < scene.nodesPerSlot; peer++) {
        const from = scene.segment(other, peer);
        if (from === NO_SEGMENT || (other === slot && peer === node)) continue;
        const { volumeEpoch, membership } = segments.at(from);
        if (volumeEpoch !== own.volumeEpoch || membership.epoch !== own.membership.epoch) continue;
        const after = segments.gossip(segment, from, bounds.hints);
        if (after === segment || heard.includes(after)) continue;
        heard.push(after);
        const source = scene.cores.memberships.nodeAt(other, peer);
        const column = scene.cores.columnId(scene.withSegment(slot, node, after));
        scene.moveOne(nodeStep('gossip', -1, slot, node, source), column);
      }
    }
  }
}
