/**
 * The whole cluster in one process: real storage nodes, real writers, the registry, on a virtual clock, network and disks.
 * Everything follows from the schedule; nothing else is random, and nothing waits for real time.
 *
 * The world knows how to do things to the cluster; what is done when is the schedule's business (steps.ts), what counts as
 * wrong the oracles'.
 */
import { describeError, must, settled, VirtualClock, type NodeId, type Zone } from '@rokka/kernel';
import { allMembers } from '@rokka/quorum';
import { MemoryRegistry } from '@rokka/registry';
import { MemoryNetwork } from '@rokka/transport';
import { Volume, type VolumeRecord } from '@rokka/volume';
import { BrokenInvariant } from './broken-invariant.ts';
import { EventLog } from './event-log.ts';
import { FaultAtlas } from './fault-atlas.ts';
import type { Knobs } from './knobs.ts';
import { NetworkWeather } from './network-weather.ts';
import { makeOracles, type Oracles } from './oracles/index.ts';
import type { Party } from './schedule.ts';
import { PowerLoss } from './sim-disk.ts';
import { SimNode } from './sim-node.ts';
import { SimWriter, VOLUME_ID } from './sim-writer.ts';
import { WireTap } from './wire-tap.ts';

export const MEMBERS = [0, 1, 2, 3, 4, 5] as const;
/** Writers that may live at the same time: the newest and those that do not know yet. */
const WRITERS_MAX = 4;

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
  /** By place: the six of the volume, then those that were added. */
  readonly nodes: SimNode[];
  readonly writers: SimWriter[] = [];
  /** Faults that happened, and steps that did nothing, by kind. */
  readonly faults = new Map<string, number>();
  /** How to end the faults that last, in the order in which they began. */
  readonly #undoings = new Set<() => void>();
  #failure: unknown;
  /** Invariants that count; all where none are named. */
  readonly #judges: ReadonlySet<string>;
  /** Share of the volume's pages that the workload may touch by now, in (0, 1]. */
  reach = 1;

  private constructor(seed: number, knobs: Knobs, judges: readonly string[]) {
    this.#judges = new Set(judges);
    this.seed = seed;
    this.knobs = knobs;
    this.oracles = makeOracles(this.events);
    this.atlas = new FaultAtlas(() => this.#groups());
    const { latencyMs, lateOnceIn, lateMs, sendLimitBytes } = knobs;
    this.weather = new NetworkWeather({ seed, latencyMs, lateOnceIn, lateMs });
    this.network = new MemoryNetwork({
      clock: this.clock,
      sendLimitBytes,
      delayMs: (link) => this.weather.delayMs(link) + this.#busyMs(link.from),
      observer: new WireTap({
        emit: (event) => this.events.append(event),
        isNode: (name) => this.nodes.some(({ id }) => id === name),
      }),
    });
    this.weather.attach(this.network);
    this.nodes = MEMBERS.map((place) => this.#makeNode(place, zoneOf(place)));
  }

  /** Six nodes are up, and the volume is in the registry, of no pages yet. */
  static async start(seed: number, knobs: Knobs, judges: readonly string[] = []): Promise<World> {
    const world = new World(seed, knobs, judges);
    for (const node of world.nodes) node.start();
    await Volume.create(world.registry, {
      volumeId: VOLUME_ID,
      name: 'sim',
      pagesPerGroup: knobs.pagesPerGroup,
      groupsMax: knobs.groups,
      allFull: knobs.allFull,
      nodes: world.nodes.map(({ id, zone }) => ({ node: id, zone })),
    });
    await world.#limitAllocation();
    await world.advance(0);
    return world;
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

  node(place: number): SimNode {
    return must(this.nodes[place], 'no such member');
  }

  /** One more machine, beside those that the volume was made on; its place is the next. It is up at once. */
  addNode(zone: Zone): SimNode {
    const node = this.#makeNode(this.nodes.length, zone);
    this.nodes.push(node);
    node.start();
    return node;
  }

  /** The names that a party goes by at the moment. */
  nameOf(party: Party): string | undefined {
    return party === 'writer' ? this.writer?.name : this.node(party).id;
  }

  /** Another process opens the volume. Where too many live, the oldest is killed first. */
  open(): SimWriter {
    const living = this.livingWriters;
    if (living.length >= WRITERS_MAX) living[0]?.kill();
    const { seed, knobs, clock, network, registry } = this;
    const number = this.writers.length + 1;
    const emit = this.events.append.bind(this.events);
    const pages = () => this.pages;
    const onBug = (error: unknown) => this.fail(error);
    const writer = new SimWriter({ number, seed, knobs, clock, network, registry, emit, pages, onBug });
    this.writers.push(writer);
    return writer;
  }

  /** Lets time pass until `untilMs`, one event after the other. @throws BrokenInvariant */
  async advance(untilMs: number): Promise<void> {
    for (let going = true; going;) {
      try {
        going = this.clock.runNext(untilMs);
      } catch (error) {
        this.fail(error);
      }
      await settled();
      if (this.#failure !== undefined) throw this.#failure;
    }
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
    const broken =
      error instanceof BrokenInvariant ? error : new BrokenInvariant('crash', describeFailure(error));
    if (this.#judges.size === 0 || this.#judges.has(broken.invariant)) this.#failure ??= broken;
  }

  /** Notes a fault, and how it ends after `forMs` or with all others. */
  lasting(forMs: number, undo: () => void): void {
    const once = () => {
      if (this.#undoings.delete(once)) undo();
    };
    this.#undoings.add(once);
    this.clock.after(forMs, once);
  }

  count(what: string): void {
    this.faults.set(what, (this.faults.get(what) ?? 0) + 1);
  }

  /** Ends every fault that lasts. */
  undoAll(): void {
    for (const undo of this.#undoings) undo();
  }

  #busyMs(name: string): number {
    return this.nodes.find(({ id }) => id === name)?.process?.busyMs ?? 0;
  }

  #groups() {
    const { history } = this.oracles;
    // Before the first group there is nothing to lose.
    return (history.volume?.groups ?? []).map((group) => ({
      formulas: history.formulasOf(group),
      members: allMembers(group.membership).map(({ node }) => node),
    }));
  }

  #makeNode(place: number, zone: Zone): SimNode {
    const { seed, knobs, clock, network } = this;
    const id = nodeId(place);
    const onFate = (what: string, why?: string) =>
      this.events.append({ kind: 'fate', who: id, what, ...(why === undefined ? {} : { why }) });
    const onStore = (store: string) => this.events.append({ kind: 'store', node: id, store });
    const onBug = (error: unknown) => this.fail(error);
    return new SimNode({ id, zone, seed, knobs, clock, network, onFate, onStore, onBug });
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

export function nodeId(place: number): NodeId {
  return `n${place}` as NodeId;
}

function zoneOf(place: number): Zone {
  return 'abc'[place >> 1] as Zone;
}

function describeFailure(error: unknown): string {
  return error instanceof Error ? `${describeError(error)}\n${error.stack ?? ''}` : String(error);
}
