/** A node as a process on a real disk: whatever it acknowledged is there after a SIGKILL at any moment. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { test } from 'node:test';
import { deadline, systemClock, type Lsn, type NodeId, type PageNumber } from '@rokka/kernel';
import { unixNetwork } from '@rokka/transport';
import * as codec from './message-codec.ts';
import { MESSAGE } from './messages.ts';
import { NodeClient } from './node-client.ts';
import { joined, RecordMaker } from './testing/records.ts';
import { createMessage, head, shipMessage } from './testing/stores.ts';

const ROUNDS = 12;
/** Each round, however slow the disk is. */
const ACKNOWLEDGED = 100;
const ROUND_MS_MAX = 60_000;
const PROGRAM = path.join(import.meta.dirname, 'testing', 'node-process.ts');

async function startNode(directory: string, address: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [PROGRAM, directory, address], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  assert.ok(child.stdout);
  await deadline(once(child.stdout, 'data'), { what: 'the node to be ready', ms: 120_000 });
  return child;
}

async function killed(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const gone = once(child, 'exit');
  child.kill(signal);
  await deadline(gone, { what: 'the node to end', ms: 60_000 });
}

test('what was acknowledged survives SIGKILL at any moment', { timeout: 900_000 }, async () => {
  const root = mkdtempSync(path.join(os.tmpdir(), 'rokka-storage-'));
  const address = path.join(root, 's');
  const maker = new RecordMaker();
  let child: ChildProcess | undefined;
  let acked = 0;
  try {
    for (let round = 0; round < ROUNDS; round++) {
      child = await startNode(path.join(root, 'data'), address);
      const client = await connect(address, (scl) => (acked = Math.max(acked, scl)));
      const call = (type: number, body: Uint8Array) => client.request(type, [body], { timeoutMs: 60_000 });
      await call(MESSAGE.CREATE_SEGMENT, codec.encodeCreateSegment(createMessage()));
      const state = codec.decodeSegmentState(
        await call(MESSAGE.FENCE, codec.encodeFence({ ...head(), members: [], ranges: [] })),
      );
      assert.ok(state.scl >= acked, `SCL ${state.scl} after ${acked} was acknowledged`);
      assert.equal(state.damaged, false);
      for (let page = 0; page < 8; page++) {
        const readPoint = Math.max(state.scl, state.coalesced) as Lsn;
        const request = { ...head(), pages: [page as PageNumber], readPoint, requiredScl: state.scl };
        const [answer] = codec.decodeReadAnswer(await call(MESSAGE.READ, codec.encodeRead(request)));
        const expected = maker.page(page, readPoint);
        assert.equal(answer.pageLsn, expected.lsn);
        if (expected.lsn > 0) assert.deepEqual(answer.content, expected.content);
      }
      const resent = maker.made.filter(({ lsn }) => lsn > state.scl);
      const startMs = systemClock.nowMs();
      const ackedBefore = acked;
      const goesOn = () => {
        const forMs = systemClock.nowMs() - startMs;
        return forMs < 50 + round * 20 || (acked < ackedBefore + ACKNOWLEDGED && forMs < ROUND_MS_MAX);
      };
      for (let records = resent; goesOn(); records = maker.many(20, { pages: 8, bytes: 120 })) {
        const points = { vdl: acked as Lsn, pgmrpl: acked as Lsn, logFloor: acked as Lsn };
        const ship = { ...shipMessage([], points), records: [joined(records)] };
        client.caller.connection.send(MESSAGE.SHIP, 0, codec.encodeShips([ship]));
        await systemClock.sleep(1);
      }
      await killed(child, 'SIGKILL');
      client.close();
    }
    assert.ok(acked > 1_000, `${acked} records were acknowledged`);
    child = await startNode(path.join(root, 'data'), address);
    await killed(child, 'SIGTERM');
    assert.equal(child.exitCode, 0, 'it ends in good order');
  } finally {
    child?.kill('SIGKILL');
    rmSync(root, { recursive: true, force: true });
  }
});

function connect(address: string, onScl: (scl: number) => void): Promise<NodeClient> {
  return NodeClient.connect({
    network: unixNetwork({ clock: systemClock }),
    address,
    hello: { cluster: 'test', node: 'n0' as NodeId },
    clock: systemClock,
    timeoutMs: 60_000,
    rest: {
      onFrame: (_, { type, body }) => {
        if (type === MESSAGE.ACK) for (const { scl } of codec.decodeAcks(body)) onScl(scl);
      },
    },
  });
}
