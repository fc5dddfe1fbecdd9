/**
 * What it costs a writer that a member does not know the newest membership yet: one more round trip, and no wait for a timer. Frames
 * and virtual time are counted; a frame takes a millisecond, the disks none.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asPageNumber, must, type PgIndex } from '@rokka/kernel';
import { decodeAcks, decodeError, decodeFence, decodeShipRefused, MESSAGE } from '@rokka/storage';
import type { Connection, Lane, Network } from '@rokka/transport';
import { BY_HAND, groupOf, written, type Life } from './testing/member-work.ts';
import { PageWriter } from './testing/page-writer.ts';
import { nodeId, SixNodes, zoneOf } from './testing/six-nodes.ts';

const P0 = 0 as PgIndex;
const SLOW_MS = 40;

interface Seen {
  readonly from: string;
  readonly to: string;
  readonly type: number;
  readonly atMs: number;
  readonly text: string;
}

/** Everything that is sent from now on, and what it says where it is a refusal or an ack. */
async function watched(of: { slow?: number } = {}) {
  const seen: Seen[] = [];
  const clock = { nowMs: () => 0 };
  const isSlow = ({ from, to }: { from: string; to: string }) =>
    of.slow !== undefined && [from, to].includes(nodeId(of.slow));
  const six = await SixNodes.start({
    spares: 6,
    delayMs: (link) => (isSlow(link) ? SLOW_MS : 1),
    observer: {
      sent: ({ from, to }: Lane, { type, body }) =>
        seen.push({ from, to, type, atMs: clock.nowMs(), text: textOf(type, body) }),
    },
  });
  clock.nowMs = () => six.clock.nowMs();
  return { six, seen };
}

function textOf(type: number, body: Uint8Array): string {
  if (type === MESSAGE.SHIP_REFUSED) return decodeShipRefused(body).code;
  if (type === MESSAGE.ERROR) return decodeError(body).code;
  if (type === MESSAGE.ACK)
    return decodeAcks(body)
      .map(({ membershipEpoch }) => `m${membershipEpoch}`)
      .join(' ');
  if (type === MESSAGE.FENCE) return `m${decodeFence(body).membershipEpoch}`;
  return '';
}

/**
 * The way of the first writer to the nodes, on which fences of a later membership can be overtaken: they are kept until `let go`, or until
 * one frame of the type `behind` has left on the same connection.
 */
class OvertakenFences {
  readonly #kept: (() => void)[] = [];
  #keeps: { to?: string; behind?: number } | undefined;

  keep(of: { to?: string; behind?: number } = {}): void {
    this.#keeps = of;
  }

  letGo(): void {
    this.#keeps = undefined;
    for (const send of this.#kept.splice(0)) send();
  }

  of(network: Network): Network {
    return {
      listen: (address, accept) => network.listen(address, accept),
      connect: async (address, handler, options) => {
        const own = (connection: Connection) => this.#overtaken(address, connection);
        const known = new Map<Connection, Connection>();
        const wrapped = (connection: Connection) => {
          const before = known.get(connection);
          if (before) return before;
          const made = own(connection);
          known.set(connection, made);
          return made;
        };
        const connection = await network.connect(
          address,
          {
            onFrame: (from, frame) => handler.onFrame(wrapped(from), frame),
            onClose: (from, reason) => handler.onClose(wrapped(from), reason),
            onBatchEnd: (from) => handler.onBatchEnd?.(wrapped(from)),
            onDrain: (from) => handler.onDrain?.(wrapped(from)),
          },
          options,
        );
        return wrapped(connection);
      },
    };
  }

  #overtaken(address: string, connection: Connection): Connection {
    const overtaken: Connection = {
      peer: connection.peer,
      get bufferedBytes() {
        return connection.bufferedBytes;
      },
      close: (reason) => connection.close(reason),
      send: (type, requestId, parts, onLeft) => {
        const keeps = this.#keeps;
        const isKept = keeps && (keeps.to ?? address) === address;
        if (isKept && type === MESSAGE.FENCE) {
          this.#kept.push(() => connection.send(type, requestId, parts, onLeft));
          return true;
        }
        const sent = connection.send(type, requestId, parts, onLeft);
        if (isKept && type === keeps.behind) this.letGo();
        return sent;
      },
      sendShared: ({ type, parts }) => overtaken.send(type, 0, parts),
    };
    return overtaken;
  }
}

async function writtenBehind(six: SixNodes, fences: OvertakenFences): Promise<Life> {
  const network = fences.of(six.network.endpoint('writer-1'));
  const writer = await written(six, { ...BY_HAND, network }, 4);
  await six.pass(1_000);
  return writer;
}

const begin = (writer: Life, leaves: number, joins: number) =>
  writer.volume.replacement(P0).begin({
    leaves: nodeId(leaves),
    joins: { node: nodeId(joins), kind: joins === 8 ? 'full' : 'tail', zone: zoneOf(joins) },
  });
const between = (seen: readonly Seen[], a: string, b: string) =>
  seen.filter(({ from, to }) => (from === a && to === b) || (from === b && to === a));
/** The way of a conversation: who spoke, and what. */
const told = (seen: readonly Seen[]) =>
  seen.map(({ from, type, text }) => `${from === 'writer-1' ? '>' : '<'} ${nameOf(type)} ${text}`.trim());
/** From the first frame to the arrival of the last. */
const tookMs = (seen: readonly Seen[]) => must(seen.at(-1)).atMs + 1 - must(seen[0]).atMs;
const nameOf = (type: number) =>
  must(Object.entries(MESSAGE).find(([, number]) => number === type))[0].toLowerCase();

test('a ship that overtook the fence is refused, and comes again as soon as the fence is answered: two round trips for one', async () => {
  const { six, seen } = await watched();
  await using _ = six;
  const fences = new OvertakenFences();
  const writer = await writtenBehind(six, fences);
  fences.keep({ to: nodeId(5), behind: MESSAGE.SHIP });
  await six.run(begin(writer, 4, 8));
  // The newcomer counts for nothing yet: the late one is the fourth of the six that it is to be one of.
  six.crash(0);
  await six.pass(3);
  seen.length = 0;
  const startMs = six.clock.nowMs();
  await six.run(writer.pages.commit(1, 'other'));
  const commitMs = six.clock.nowMs() - startMs;
  const talk = between(seen, 'writer-1', nodeId(5));
  assert.deepEqual(told(talk), [
    '> ship',
    '> fence m2',
    '< ship_refused STORAGE_STALE_MEMBERSHIP',
    // Of what it had before.
    '< ack m2',
    '< ok',
    // The points, and what it lacks.
    '> ship',
    '> ship',
    '< ack m2',
  ]);
  assert.equal(tookMs(talk), 4);
  assert.equal(commitMs, 4);
});

test('a member that has not said yet that it knows one change hears of the next before any ship of it', async () => {
  const { six, seen } = await watched({ slow: 5 });
  await using _ = six;
  const writer = await writtenBehind(six, new OvertakenFences());
  await six.run(begin(writer, 4, 8));
  seen.length = 0;
  await six.run(begin(writer, 3, 7));
  await six.run(writer.pages.commit(1, 'other'));
  await six.pass(4 * SLOW_MS);
  const talk = between(seen, 'writer-1', nodeId(5));
  assert.deepEqual(
    // What the healer does next is another change.
    talk.filter(({ type, text }) => type === MESSAGE.FENCE && text <= 'm3').map(({ text }) => text),
    ['m3'],
  );
  assert.deepEqual(
    talk.filter(({ type }) => type === MESSAGE.SHIP_REFUSED),
    [],
  );
});

test('a read that overtook the fence is refused, and another member is asked at once: two round trips for one', async () => {
  const { six, seen } = await watched();
  await using _ = six;
  const fences = new OvertakenFences();
  const writer = await writtenBehind(six, fences);
  fences.keep({ behind: MESSAGE.READ });
  const changing = begin(writer, 5, 11);
  await six.pass(1);
  seen.length = 0;
  const startMs = six.clock.nowMs();
  const content = must(await six.run(writer.volume.read(asPageNumber(1))));
  const readMs = six.clock.nowMs() - startMs;
  assert.equal(Buffer.from(content).toString('utf8', 0, 6), 'text 1');
  const isRead = ({ type, text }: Seen) => type === MESSAGE.READ || text === 'STORAGE_STALE_MEMBERSHIP';
  assert.deepEqual(told(seen.filter(isRead)), ['> read', '< error STORAGE_STALE_MEMBERSHIP', '> read']);
  assert.equal(readMs, 4);
  await six.run(changing);
});

test('who has what it was sent counts, whichever membership it knew when it said so', async () => {
  const { six } = await watched();
  await using _ = six;
  const fences = new OvertakenFences();
  const writer = await writtenBehind(six, fences);
  // Nobody hears of the change, and what is on its way is acknowledged under the membership before.
  fences.keep();
  const durable = writer.pages.commit(1, 'on its way');
  await six.pass(0.5);
  const changing = begin(writer, 4, 8);
  await six.run(durable);
  assert.equal((await groupOf(six)).epoch, 2);
  assert.ok(await six.isStuck(changing, 20));
  six.kill(writer);
  for (const i of [0, 2]) six.crash(i);
  const next = await six.writer(BY_HAND);
  assert.equal(await six.run(new PageWriter(next.volume).text(1, 'on its way'.length)), 'on its way');
});
