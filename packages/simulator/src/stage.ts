/**
 * A stage for scripted scenarios: the simulator's world with a calm network, on which a script says who does what and when.
 * What comes out is the compact trace that `packages/simulator/scenarios/` compares to the letter, judged by all oracles.
 */
import { asPageNumber, must, type NodeId, type PgIndex } from '@rokka/kernel';
import type { PlacedMember } from '@rokka/quorum';
import { whenReady } from '@rokka/volume';
import type { SimEvent } from './events.ts';
import type { Knobs } from './knobs.ts';
import { peek } from './peek.ts';
import type { SimNode } from './sim-node.ts';
import type { SimWriter } from './sim-writer.ts';
import { scenarioLine } from './scenario-line.ts';
import { nodeId, World } from './world.ts';

/** A story that documents a failure known from the field, and what must come out of it. */
export interface Scenario {
  readonly title: string;
  /** Who met it before us. */
  readonly source: string;
  readonly knobs?: Partial<Knobs>;
  play(stage: Stage): Promise<void>;
}

/** One millisecond for a frame, one for a visit to the registry; nothing is late unless the script says so. */
const CALM: Knobs = {
  groups: 1,
  pagesPerGroup: 8,
  allFull: false,
  allocationLimit: 100,
  outstandingBytesMax: 64 * 1024,
  sendLimitBytes: 1024 * 1024,
  cacheFrames: 32,
  clients: 1,
  gossipIntervalMs: 1_000,
  latencyMs: [1, 1],
  lateOnceIn: 1_000_000,
  lateMs: 1,
  registryMs: 2,
  sectorBytes: 512,
  tuning: {
    logFileBytes: 64 * 1024,
    logBatchBytes: 16 * 1024,
    segmentLogBytes: 16 * 1024,
    pageRecords: 32,
    logBytes: 128 * 1024,
    scrubBytesPerSecond: 0,
  },
};
const WAIT_MS = 60_000;

/** The scenario's trace: notes of the script, and what happened between them. @throws BrokenInvariant */
export async function playScenario({ knobs, play }: Scenario): Promise<string> {
  const world = await World.start(1, { ...CALM, ...knobs });
  const stage = new Stage(world);
  await play(stage);
  await world.advance(world.clock.nowMs());
  return `${stage.lines.join('\n')}\n`;
}

export class Stage {
  readonly world: World;
  readonly lines: string[] = [];
  /** The last line of each, so that what is said again and again is said once. */
  readonly #last = new Map<string, string>();
  readonly #cuts = new Map<string, () => void>();

  constructor(world: World) {
    this.world = world;
    world.events.onEvent = (_atMs, event) => this.#heard(event);
  }

  /** What the script does next, for the reader. */
  note(text: string): void {
    this.lines.push(`# ${text}`);
    this.#last.clear();
  }

  node(place: number): SimNode {
    return must(this.world.nodes[place]);
  }

  pass(ms: number): Promise<void> {
    return this.world.advance(this.world.clock.nowMs() + ms);
  }

  async until(what: string, condition: () => boolean): Promise<void> {
    // What needs no time takes none.
    await this.world.advance(this.world.clock.nowMs());
    if (!(await this.world.waitFor(condition, WAIT_MS))) throw new Error(`never came: ${what}`);
  }

  /** Another process begins to open the volume. */
  begin(): SimWriter {
    return this.world.open();
  }

  async open(): Promise<SimWriter> {
    const writer = this.begin();
    await this.until(`${writer.name} open`, () => writer.state === 'open');
    return writer;
  }

  /** Lets time pass until the work is done. */
  async run<T>(work: Promise<T>): Promise<T> {
    let settled = false;
    const watched = work.finally(() => (settled = true));
    watched.catch(() => {});
    await this.until('an end of the work', () => settled);
    return watched;
  }

  /** One mini-transaction: `text` at the start of a page. Resolves when it is made, not when it lasts. */
  async write(writer: SimWriter, text: string, page = 0): Promise<{ durable: Promise<void> }> {
    const { cache } = must(writer.client);
    const bytes = Buffer.from(`${text}\0`);
    const write = { page: asPageNumber(page), offset: 0, bytes, init: false };
    const ticket = await this.run(whenReady(cache, () => cache.apply([write])));
    const durable = cache.whenDurable(ticket);
    durable.catch(() => {});
    return { durable };
  }

  /** The same, and waits until the client is told that it lasts. */
  async commit(writer: SimWriter, text: string, page = 0): Promise<void> {
    const { durable } = await this.write(writer, text, page);
    await this.run(durable);
  }

  /** What a client sees in its writer's cache. */
  look(writer: SimWriter, page = 0): Promise<void> {
    return this.run(must(writer.client).look(page));
  }

  /** A page from the nodes, past the cache. */
  async read(writer: SimWriter, page = 0): Promise<void> {
    await this.run(must(writer.volume).read(asPageNumber(page)));
  }

  /** Somebody who is no writer asks a node for a page as it was `back` LSNs ago. */
  async peek(writer: SimWriter, place: number, of: { page: number; back: number }): Promise<void> {
    await this.run(peek(this.world, { ...of, node: this.node(place), writer }).catch(() => {}));
  }

  crash(...places: number[]): void {
    for (const place of places) this.node(place).losePower('all', 1);
  }

  start(...places: number[]): void {
    for (const place of places) this.node(place).start();
  }

  /** Nothing gets through from one to the other until `mend`; what is sent waits on its way. */
  cut(from: SimWriter | number, to: SimWriter | number): void {
    const [a, b] = [nameOf(from), nameOf(to)];
    this.#cuts.set(`${a}>${b}`, this.world.weather.hold(a, b));
  }

  mend(from: SimWriter | number, to: SimWriter | number): void {
    this.#cuts.get(`${nameOf(from)}>${nameOf(to)}`)?.();
  }

  pause(writer: SimWriter): void {
    writer.process.hold('paused');
  }

  resume(writer: SimWriter): void {
    writer.process.release('paused');
  }

  steps(writer: SimWriter, pg = 0) {
    return must(writer.volume).replacement(pg as PgIndex);
  }

  /** A newcomer on a machine, in the place of a member. */
  inPlaceOf(leaves: number, joins: number): { leaves: NodeId; joins: PlacedMember } {
    const { membership } = must(this.world.oracles.history.volume?.groups[0]);
    const slot = must(membership.slots.find(({ member }) => member.node === nodeId(leaves)));
    const { kind, zone } = slot.member;
    return { leaves: nodeId(leaves), joins: { node: nodeId(joins), kind, zone } };
  }

  isMember(place: number): boolean {
    const slots = this.world.oracles.history.volume?.groups[0]?.membership.slots ?? [];
    return slots.some(({ member }) => member.node === nodeId(place));
  }

  #heard(event: SimEvent): void {
    const line = scenarioLine(event);
    if (line === undefined || this.#last.get(line.who) === line.what) return;
    const { who, what } = line;
    this.#last.set(who, what);
    const before = this.lines.at(-1) ?? '';
    const pages = mergedPages(before, event);
    // What several do one after the other is one line.
    if (pages !== undefined) this.lines.splice(-1, 1, pages);
    else if (before.endsWith(`: ${what}`))
      this.lines.splice(-1, 1, `${before.slice(0, -what.length - 2)} ${who}: ${what}`);
    else this.lines.push(`${who}: ${what}`);
  }
}

/** A copy of pages goes on: one line for all that comes in a row. */
function mergedPages(before: string, event: SimEvent): string | undefined {
  const match = /^([n\d ]+): giving (n\d+) pages (\d+) to \d+$/.exec(before);
  if (event.kind !== 'gave-pages' || match?.[2] !== event.to) return undefined;
  const givers = new Set([...must(match[1]).split(' '), event.node]);
  return `${[...givers].join(' ')}: giving ${event.to} pages ${match[3]} to ${event.next - 1}`;
}

function nameOf(party: SimWriter | number): string {
  return typeof party === 'number' ? nodeId(party) : party.name;
}
