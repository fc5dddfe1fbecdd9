/**
 * Random work through a page cache on a volume of several small groups, while nodes lose power and come back within what is
 * survivable, and what every page must hold after it.
 */
import assert from 'node:assert/strict';
import { asPageNumber, PAGE_SIZE, type SeededRandom } from '@rokka/kernel';
import type { PageWrite, Ticket } from '../page-store.ts';
import { PageWriter } from './page-writer.ts';
import { NODES, type SixNodes, type Writer } from './six-nodes.ts';

const PAGES = 36;
export const PAGES_PER_GROUP = 12;

/** Every mini-transaction that may still count, and the pages as of the last one that certainly does. */
export class Oracle {
  readonly #base = new Map<number, Uint8Array>();
  #pending: { ticket: Ticket; writes: readonly PageWrite[] }[] = [];
  #baseTicket = 0 as Ticket;
  durable = 0 as Ticket;
  /** Mini-transactions that recoveries dropped, and those that they kept though nobody had been told that they last. */
  dropped = 0;
  keptUnknown = 0;

  applied(ticket: Ticket, writes: readonly PageWrite[]): void {
    this.#pending.push({ ticket, writes });
  }

  /** The volume was recovered to `boundary`: it is one, nothing durable is missing, the rest never was. */
  recovered(boundary: Ticket): void {
    assert.ok(boundary >= this.durable, `${boundary} was recovered, ${this.durable} was durable`);
    const tickets = [this.#baseTicket, ...this.#pending.map(({ ticket }) => ticket)];
    assert.ok(tickets.includes(boundary), `${boundary} is not the end of a mini-transaction`);
    for (const { ticket, writes } of this.#pending) {
      if (ticket > boundary) this.dropped++;
      else if (ticket > this.durable) this.keptUnknown++;
      if (ticket <= boundary) this.#replay(writes);
    }
    this.#pending = [];
    this.#baseTicket = boundary;
    this.durable = boundary;
  }

  /** Mini-transactions that nobody knew to be durable. */
  pendingBeyond(durable: Ticket): number {
    return this.#pending.filter(({ ticket }) => ticket > durable).length;
  }

  /** Whoever took over found all that was ever applied; what it stands at has other numbers. */
  tookOver(boundary: Ticket): void {
    for (const { writes } of this.#pending) this.#replay(writes);
    this.#pending = [];
    this.#baseTicket = boundary;
    this.durable = boundary;
  }

  page(page: number): Uint8Array {
    return this.#base.get(page) ?? new Uint8Array(PAGE_SIZE);
  }

  #replay(writes: readonly PageWrite[]): void {
    for (const { page, offset, bytes, init } of writes) {
      const content = init ? new Uint8Array(PAGE_SIZE) : this.page(page);
      content.set(bytes, offset);
      this.#base.set(page, content);
    }
  }
}

function randomWrites(random: SeededRandom): PageWrite[] {
  const pages = new Set(Array.from({ length: 1 + random.below(5) }, () => random.below(PAGES)));
  return [...pages].map((page) => {
    const length = random.pick([1, 8, 100, 900]);
    return {
      page: asPageNumber(page),
      offset: random.below(PAGE_SIZE - length),
      bytes: Buffer.from(random.hex(1).repeat(length).slice(0, length)),
      init: random.chance(0.1),
    };
  });
}

/** At most two nodes are away, or three for a while. */
export async function disturbNodes(six: SixNodes, random: SeededRandom): Promise<void> {
  const down = NODES.filter((i) => !six.isUp(i));
  const downMax = random.chance(0.2) ? 3 : 2;
  if (down.length > 0 && random.chance(down.length / 3)) return six.up(random.pick(down));
  if (down.length >= downMax) return;
  const torn = random.chance(0.5) ? ({ length }: { length: number }) => random.below(length + 1) : undefined;
  six.crash(random.pick(NODES.filter((i) => six.isUp(i))), torn);
}

export async function assertPagesAgree(six: SixNodes, writer: Writer, oracle: Oracle): Promise<void> {
  const pages = new PageWriter(writer.volume);
  const contents = await six.run(
    Promise.all(Array.from({ length: PAGES }, (_, page) => pages.content(page))),
  );
  for (const [page, content] of contents.entries())
    assert.ok(Buffer.compare(content, oracle.page(page)) === 0, `page ${page} differs`);
}

/** One writer's life: work until it is killed. */
export async function live(
  six: SixNodes,
  random: SeededRandom,
  life: { writer: Writer; oracle: Oracle },
): Promise<void> {
  const { writer, oracle } = life;
  const { volume } = writer;
  const pages = new PageWriter(volume, { frames: 10 + random.below(40) });
  const state = { over: false };
  const work = async () => {
    while (!state.over) {
      const writes = randomWrites(random);
      const before = volume.applied;
      const ticket = await pages.apply(writes);
      if (state.over) return;
      if (ticket > before) oracle.applied(ticket, writes);
      if (random.chance(0.1)) await volume.whenDurable(ticket);
      else if (random.chance(0.3)) await writer.clock.sleep(random.below(3));
    }
  };
  const failed: unknown[] = [];
  work().catch((error: unknown) => failed.push(error));
  for (let step = 5 + random.below(25); step > 0; step--) {
    await six.pass(random.below(12));
    if (random.chance(0.25)) await disturbNodes(six, random);
    if (random.chance(0.1)) {
      const i = random.pick(NODES);
      six.hold(writer, i);
      await six.pass(random.below(40));
      six.heal(writer, i);
    }
    oracle.durable = volume.durable;
  }
  // What it writes last reaches some nodes and not others, and some of those lose power with it.
  const reached = NODES.filter(() => random.chance(random.pick([0, 0.2, 0.6])));
  for (const i of NODES) if (!reached.includes(i)) six.hold(writer, i);
  await six.pass(4 + random.below(20));
  state.over = true;
  oracle.durable = volume.durable;
  assert.deepEqual(failed, []);
  assert.deepEqual(writer.failures, []);
  six.kill(writer);
  if (reached.length > 2 || random.chance(0.4)) return;
  for (const i of NODES) await six.up(i);
  for (const i of reached) six.crash(i);
}
