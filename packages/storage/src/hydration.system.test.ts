/** A newcomer as a process on a real disk, killed again and again while it is filled: it gets there and tells no lie. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { deadline, PAGE_SIZE, SeededRandom, systemClock } from '@rokka/kernel';
import type { Epoch, NodeId, PageNumber, Zone } from '@rokka/kernel';
import { unixNetwork } from '@rokka/transport';
import * as codec from './message-codec.ts';
import { MESSAGE, type MemberAddress } from './messages.ts';
import { NodeClient } from './node-client.ts';
import type { NodeStatus } from './node-status.ts';
import { joined, RecordMaker } from './testing/records.ts';
import { createMessage, head, shipMessage } from './testing/stores.ts';

const PROGRAM = path.join(import.meta.dirname, 'testing', 'node-process.ts');
const PAGES = 4_096;
const KILLS = 8;
const JOINT = { membershipEpoch: 2 as Epoch };

class Nodes {
  readonly root = mkdtempSync(path.join(os.tmpdir(), 'rokka-hydration-'));
  readonly children = new Map<string, ChildProcess>();
  readonly clients = new Map<string, NodeClient>();

  members(...names: string[]): MemberAddress[] {
    const member = { zone: 'a' as Zone, kind: 'full' } as const;
    return names.map((node) => ({ ...member, node: node as NodeId, address: path.join(this.root, node) }));
  }

  async start(name: string): Promise<void> {
    const address = path.join(this.root, name);
    const child = spawn(process.execPath, [PROGRAM, `${address}.data`, address, name], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.children.set(name, child);
    assert.ok(child.stdout);
    await deadline(once(child.stdout, 'data'), { what: `${name} to be ready`, ms: 120_000 });
    const client = await NodeClient.connect({
      network: unixNetwork({ clock: systemClock }),
      address,
      hello: { cluster: 'test', node: name as NodeId },
      clock: systemClock,
      timeoutMs: 60_000,
      rest: {},
    });
    this.clients.set(name, client);
  }

  async kill(name: string): Promise<void> {
    const child = this.children.get(name);
    assert.ok(child);
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await deadline(gone, { what: `${name} to end`, ms: 60_000 });
    this.clients.get(name)?.close();
  }

  call(name: string, type: number, body: Uint8Array): Promise<Uint8Array> {
    const client = this.clients.get(name);
    assert.ok(client);
    return client.request(type, [body], { timeoutMs: 120_000 });
  }

  async status(name: string): Promise<NodeStatus> {
    const body = await this.call(name, MESSAGE.STATUS, new Uint8Array());
    return JSON.parse(Buffer.from(body).toString()) as NodeStatus;
  }

  close(): void {
    for (const child of this.children.values()) child.kill('SIGKILL');
    rmSync(this.root, { recursive: true, force: true });
  }
}

test(
  'a newcomer that is killed again and again is filled, little by little',
  { timeout: 900_000 },
  async () => {
    const nodes = new Nodes();
    const maker = new RecordMaker();
    const random = new SeededRandom(7);
    try {
      await nodes.start('n0');
      const create = createMessage({ pageCount: PAGES, members: nodes.members('n0') });
      await nodes.call('n0', MESSAGE.CREATE_SEGMENT, codec.encodeCreateSegment(create));
      const ship = (count: number, init: boolean) => {
        const durable = maker.lastLsn;
        const records = Array.from({ length: count }, () => {
          const page = init ? maker.lastLsn : random.below(PAGES);
          const content = new Uint8Array(init ? PAGE_SIZE : 100).fill(1 + random.below(255));
          return maker.make({ page, content, init });
        });
        const message = codec.encodeShips([
          {
            ...shipMessage([], { vdl: durable, pgmrpl: durable }),
            ...(init ? {} : JOINT),
            records: [joined(records)],
          },
        ]);
        nodes.clients.get('n0')?.caller.connection.send(MESSAGE.SHIP, 0, message);
      };
      while (maker.lastLsn < PAGES) {
        ship(64, true);
        if (maker.lastLsn % 1_024 === 0) await nodes.status('n0');
      }
      const members = nodes.members('n0', 'n1');
      await nodes.call('n0', MESSAGE.FENCE, codec.encodeFence({ ...head(JOINT), members, ranges: [] }));
      await nodes.start('n1');
      const join = createMessage({ ...JOINT, pageCount: PAGES, members, hydrate: true });
      await nodes.call('n1', MESSAGE.CREATE_SEGMENT, codec.encodeCreateSegment(join));
      let reached = 0;
      let kills = 0;
      for (const endMs = systemClock.nowMs() + 800_000; ;) {
        assert.ok(systemClock.nowMs() < endMs, 'it gets there');
        ship(20, false);
        const [segment] = (await nodes.status('n1')).segments;
        if (!segment.hydration) break;
        assert.equal(segment.scl, 0, 'nothing is told before');
        assert.ok(
          segment.hydration.nextPage >= reached || !segment.hydration.begun,
          'what was durable is not lost',
        );
        reached = Math.max(reached, segment.hydration.nextPage);
        await systemClock.sleep(random.below(60));
        if (kills === KILLS) continue;
        kills++;
        await nodes.kill('n1');
        await nodes.start('n1');
      }
      assert.ok(kills >= 3, `${kills} kills before it was whole`);
      const { pagesServed } = (await nodes.status('n0')).hydration;
      assert.ok(
        pagesServed <= PAGES * (1 + 0.05 * (kills + 1)),
        `${pagesServed} pages were sent, ${kills} kills`,
      );
      await demandSame(nodes, maker);
    } finally {
      nodes.close();
    }
  },
);

/** Once it has all records, what the newcomer serves is what the records give. */
async function demandSame(nodes: Nodes, maker: RecordMaker): Promise<void> {
  const lsn = maker.lastLsn;
  for (const endMs = systemClock.nowMs() + 180_000; ; await systemClock.sleep(50)) {
    const fence = codec.encodeFence({ ...head(JOINT), members: [], ranges: [] });
    const state = codec.decodeSegmentState(await nodes.call('n1', MESSAGE.FENCE, fence));
    assert.deepEqual([state.damaged, state.hydrating], [false, false]);
    if (state.scl === lsn) break;
    assert.ok(systemClock.nowMs() < endMs, `its log ends at ${state.scl} of ${lsn}`);
  }
  for (let page = 0; page < PAGES; page += 13) {
    const read = { ...head(JOINT), pages: [page as PageNumber], readPoint: lsn, requiredScl: lsn };
    const [answer] = codec.decodeReadAnswer(await nodes.call('n1', MESSAGE.READ, codec.encodeRead(read)));
    const expected = maker.page(page, lsn);
    assert.equal(answer.pageLsn, expected.lsn);
    assert.ok(Buffer.from(expected.content).equals(answer.content), `page ${page}`);
  }
}
