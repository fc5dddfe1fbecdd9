/**
 * The whole cluster in one process: real storage nodes, real writers, the registry, on a virtual clock, network and disks.
 * Everything follows from the schedule; nothing else is random, and nothing waits for real time.
 *
 * The world knows how to do things to the cluster; what is done when is the schedule's business (steps.ts), what counts as
 * wrong the oracles'.
 */
import { describeError, must, VirtualClock, whileSettled, type NodeId, type Zone } from '@rokka/kernel';
import { allMembers, changesOf, type HealingTimes } from '@rokka/quorum';
import { MemoryRegistry } from '@rokka/registry';
import { MemoryNetwork, type NetworkObserver } from '@rokka/transport';
import { Volume, type FleetNode, type GroupRecord, type VolumeRecord } from '@rokka/volume';
import { BrokenInvariant } from './broken-invariant.ts';
import { EventLog } from './event-log.ts';
import { asGoodAsNew, FaultAtlas } from './fault-atlas.ts';
import type { Knobs } from './knobs.ts';
import { NetworkWeather } from './network-weather.ts';
import { makeOracles, type Oracles } from './oracles/index.ts';
import type { Party } from './schedule.ts';
import { RegistryWeather } from './registry-weather.ts';
import { PowerLoss } from './sim-disk.ts';
import type { SimMemory } from './sim-memory.ts';
import { SimNode } from './sim-node.ts';
import { SimWriter, VOLUME_ID } from './sim-writer.ts';
import { WireTap } from './wire-tap.ts';

export const MEMBERS = [0, 1, 2, 3, 4, 5] as const;
/** Writers that may live at the same time: the newest and those that do not know yet. */
const WRITERS_MAX = 4;

/** What lay in wait and comes when the cluster is to come to rest does not keep it from that. */
const LATE_FAULT_MS = 2_000;

/** For clusters whose members change by hand: what heals them in the end. */
const QUICK: HealingTimes = { awayMs: 1_000, behindMs: 4_000, returnedMs: 100, blockedMs: 1_500 };

export class World {
  readonly seed: number;
  readonly knobs: Knobs;
  readonly clock = new VirtualClock();
  readonly events = new EventLog({
    nowMs: () => this.clock.nowMs(),
    onBroken: (error) => this.fail(error),
  });
  readonly oracles: Oracles;
  readonly atlas: FaultAtlas;
  readonly weather: NetworkWeather;
  readonly network: MemoryNetwork;
  readonly registry = new MemoryRegistry();
  readonly registryWeather = new RegistryWeather();
  /** By place: the six of the volume, then those that were added. */
  readonly nodes: SimNode[] = [];
  readonly #nodesByName = new Map<string, SimNode>();
  readonly writers: SimWriter[] = [];
  readonly #writersByName = new Map<string, SimWriter>();
  /** The data directory that each node runs on. */
  readonly #stores = new Map<NodeId, string>();
  /** Faults that happened, and steps that did nothing, by kind. */
  readonly faults = new Map<string, number>();
  /** How to end the faults that last, in the order in which they began. */
  readonly #undoings = new Set<() => void>();
  /** All faults are over; one that lay in wait may still come. */
  #areOver = false;
  #failure: unknown;
  /** Share of the volume's pages that the workload may touch by now, in (0, 1]. */
  reach = 1;
  /** The healer has its way, whatever the knobs say. */
  healing = false;

  private constructor(seed: number, knobs: Knobs) {
    this.seed = seed;
    this.knobs = knobs;
    this.oracles = makeOracles(this.events);
    this.atlas = new FaultAtlas({
      groups: () => this.#groups(),
      growing: () => this.oracles.history.growing,
    });
    this.events.add({
      registry: () => this.#rebuilt(),
      store: ({ node, store }) => void this.#stores.set(node, store),
    });
    const { latencyMs, lateOnceIn, lateMs, sendLimitBytes } = knobs;
    this.weather = new NetworkWeather({ seed, latencyMs, lateOnceIn, lateMs });
    this.network = new MemoryNetwork({
      clock: this.clock,
      sendLimitBytes,
      delayMs: (link) => this.weather.delayMs(link) + this.#busyMs(link.from),
      observer: this.#observer(),
    });
    this.weather.attach(this.network);
    const places = MEMBERS.length + (knobs.spares ?? 0);
    for (let place = 0; place < places; place++) this.#makeNode(zoneOf(place));
  }

  /** Six nodes are up, and the volume is in the registry, of no pages yet. */
  static async start(seed: number, knobs: Knobs): Promise<World> {
    const world = new World(seed, knobs);
    for (const node of world.nodes) node.start();
    await Volume.create(world.registry, {
      volumeId: VOLUME_ID,
      name: 'sim',
      pagesPerGroup: knobs.pagesPerGroup,
      groupsMax: knobs.groups,
      allFull: knobs.allFull,
      nodes: world.nodes.slice(0, MEMBERS.length).map(({ id, zone }) => ({ node: id, zone })),
    });
    await world.#limitAllocation();
    await world.advance(0);
    return world;
  }

  /** The history is over. What its disks took is the next one's. */
  [Symbol.dispose](): void {
    for (const { disk } of this.nodes) disk.release();
  }

  /** The newest writer that lives. */
  get writer(): SimWriter | undefined {
    return this.writers.findLast(({ state }) => state === 'opening' || state === 'open');
  }

  get livingWriters(): SimWriter[] {
    return this.writers.filter(({ state }) => state === 'opening' || state === 'open');
  }

  get pages(): number {
    const { groups, pagesPerGroup } = this.knobs;
    return Math.max(1, Math.ceil(groups * pagesPerGroup * this.reach));
  }

  /** The machine at a place (schedule.ts, `Party`). */
  node(place: number): SimNode {
    const slot = this.oracles.history.volume?.groups[0]?.membership.slots[place];
    const node = this.nodes.find(({ id }) => id === slot?.member.node);
    return node ?? must(this.nodes[place] ?? this.nodes.at(-1), 'no such member');
  }

  /** Whether the registry knows the node by another data directory: it can be no member under this name. */
  isAnother(node: NodeId): boolean {
    const known = this.oracles.history.volume?.stores[node];
    const store = this.#stores.get(node);
    return known !== undefined && store !== undefined && known !== store;
  }

  /** Every machine that the cluster knows; nobody while members change by hand. */
  fleet(): FleetNode[] {
    if (!this.knobs.healing && !this.healing) return [];
    const known = this.nodes.filter(({ givenUp }) => !givenUp);
    return known.map(({ id, zone, leaving }) => ({ node: id, zone, leaving }));
  }

  /** Machines of the zone that could become members of the group. */
  sparesFor({ membership, retired }: GroupRecord, zone: Zone): SimNode[] {
    const taken = new Set([...allMembers(membership).map(({ node }) => node), ...retired]);
    return this.nodes.filter((node) => node.zone === zone && !node.burnt && !taken.has(node.id));
  }

  /** One more machine, beside those that the volume was made on; its place is the next. It is up at once. */
  addNode(zone: Zone): SimNode {
    const node = this.#makeNode(zone);
    node.start();
    return node;
  }

  /** The names that a party goes by at the moment. */
  nameOf(party: Party): string | undefined {
    return party === 'writer' ? this.writer?.name : this.node(party).id;
  }

  /** Another process opens the volume. Where too many live, the oldest is killed first. */
  open(): SimWriter {
    return this.#open(undefined);
  }

  /**
   * The newest writer is killed, if it did not die in the middle of a turn, and another process takes over from it; undefined where there
   * is nothing yet to take over.
   */
  takeOver(): SimWriter | undefined {
    const newest = this.writers.at(-1);
    if (newest?.fell) return newest.volume || newest.takesOver ? this.#open(newest.memory) : undefined;
    const { writer } = this;
    if (!writer || (writer.state === 'opening' && !writer.takesOver)) return undefined;
    writer.kill();
    return this.#open(writer.memory);
  }

  #open(memory: SimMemory | undefined): SimWriter {
    const living = this.livingWriters;
    if (living.length >= WRITERS_MAX) living[0]?.kill();
    const { seed, knobs, clock, network, registry } = this;
    const number = this.writers.length + 1;
    const emit = this.events.append.bind(this.events);
    const pages = () => this.pages;
    const onBug = (error: unknown) => this.fail(error);
    const fleet = knobs.spares === undefined ? undefined : () => this.fleet();
    const writer = new SimWriter({
      number,
      seed,
      knobs,
      clock,
      network,
      registry,
      registryWeather: this.registryWeather,
      emit,
      pages,
      fleet,
      healingTimes: knobs.healing ?? QUICK,
      memory,
      onBug,
    });
    this.writers.push(writer);
    this.#writersByName.set(writer.name, writer);
    return writer;
  }

  /** Lets time pass until `untilMs`, one event after the other. @throws BrokenInvariant */
  advance(untilMs: number): Promise<void> {
    let going = true;
    return whileSettled(() => {
      if (this.#failure !== undefined) throw this.#failure;
      if (!going) return false;
      try {
        going = this.clock.runNext(untilMs);
      } catch (error) {
        this.fail(error);
      }
      return true;
    });
  }

  /** Lets time pass until `condition` holds; answers false where it does not within `withinMs`. */
  async waitFor(condition: () => boolean, withinMs: number): Promise<boolean> {
    const untilMs = this.clock.nowMs() + withinMs;
    while (!condition()) {
      if (this.clock.nowMs() >= untilMs) return false;
      await this.advance(Math.min(untilMs, this.clock.nowMs() + 5));
    }
    return true;
  }

  /** Something happened that must not: the run ends with it. */
  fail(error: unknown): void {
    // The last words of a process that is gone already.
    if (error instanceof PowerLoss) return;
    this.#failure ??=
      error instanceof BrokenInvariant ? error : new BrokenInvariant('crash', describeFailure(error));
  }

  /** Notes a fault, and how it ends after `forMs` or with all others. */
  lasting(forMs: number, undo: () => void): void {
    const once = () => {
      if (this.#undoings.delete(once)) undo();
    };
    this.#undoings.add(once);
    this.clock.after(this.#areOver ? Math.min(forMs, LATE_FAULT_MS) : forMs, once);
  }

  count(what: string): void {
    this.faults.set(what, (this.faults.get(what) ?? 0) + 1);
  }

  /** Ends every fault that lasts. */
  undoAll(): void {
    this.#areOver = true;
    for (const undo of this.#undoings) undo();
  }

  #busyMs(name: string): number {
    return this.#nodesByName.get(name)?.process?.busyMs ?? 0;
  }

  #groups() {
    const { history, membership } = this.oracles;
    // Before the first group there is nothing to lose.
    return (history.volume?.groups ?? []).map((group) => {
      const lacking = changesOf(group.membership)
        .map(({ joins }) => joins.node)
        .filter((node) => !membership.isComplete(group.pg, node));
      return {
        formulas: (isLost: (node: NodeId) => boolean) =>
          history.formulasOf(without(group, (node) => lacking.includes(node) && isLost(node))),
        members: allMembers(group.membership).map(({ node }) => node),
        incomplete: [...group.missing, ...lacking],
      };
    });
  }

  #rebuilt(): void {
    const { volume } = this.oracles.history;
    const isThere = (node: NodeId) =>
      this.nodes.some(({ id, disk }) => id === node && !disk.isEmpty && !disk.doubtful && !disk.trap);
    const isAnother = (node: NodeId) => this.isAnother(node);
    if (volume)
      for (const node of asGoodAsNew(this.atlas.lost, volume, { isThere, isAnother }))
        this.atlas.rebuilt(node);
  }

  /** Whoever is to die in the middle of a turn counts what it has sent. */
  #observer(): NetworkObserver {
    const tap = new WireTap({
      emit: (event) => this.events.append(event),
      isNode: (name) => this.#nodesByName.has(name),
    });
    return {
      sent: (lane, frame) => {
        tap.sent(lane, frame);
        this.#writersByName.get(lane.from)?.sent();
      },
      delivered: (lane, frame) => tap.delivered(lane, frame),
    };
  }

  /** The next by place. */
  #makeNode(zone: Zone): SimNode {
    const { seed, knobs, clock, network } = this;
    const id = nodeId(this.nodes.length);
    const onFate = (what: string, why?: string) =>
      this.events.append({ kind: 'fate', who: id, what, ...(why === undefined ? {} : { why }) });
    const onStore = (store: string) => this.events.append({ kind: 'store', node: id, store });
    const onBug = (error: unknown) => this.fail(error);
    const node = new SimNode({ id, zone, seed, knobs, clock, network, onFate, onStore, onBug });
    this.nodes.push(node);
    this.#nodesByName.set(id, node);
    return node;
  }

  /** The limit that was ever in force is the volume's own fact; a small one brings its boundary close. */
  async #limitAllocation(): Promise<void> {
    const key = `volumes/${VOLUME_ID}`;
    const entry = must(await this.registry.get<VolumeRecord>(key));
    const record = { ...entry.value, lsnAllocationLimitMax: this.knobs.allocationLimit };
    await this.registry.put(key, record, entry.revision);
    this.events.append({ kind: 'registry', record });
  }
}

/** The group where newcomers that are gone were given up; those that were forced in can't be. */
function without(group: GroupRecord, isGone: (node: NodeId) => boolean): GroupRecord {
  const { epoch, slots } = group.membership;
  const left = slots.map((slot) =>
    slot.candidate && !slot.candidate.forced && isGone(slot.candidate.node) ? { member: slot.member } : slot,
  );
  return { ...group, membership: { epoch, slots: left } };
}

export function nodeId(place: number): NodeId {
  return `n${place}` as NodeId;
}

function zoneOf(place: number): Zone {
  return 'abc'[place < MEMBERS.length ? place >> 1 : place % 3] as Zone;
}

function describeFailure(error: unknown): string {
  return error instanceof Error ? `${describeError(error)}\n${error.stack ?? ''}` : String(error);
}
