import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Epoch, Lsn, NodeId, PgIndex, VolumeId } from '@rokka/kernel';
import { decodeShips } from '@rokka/storage';
import type { Group } from './group.ts';
import { type GroupShip, ShipBatch } from './ship-batch.ts';

const [A, B, C] = ['a', 'b', 'c'] as NodeId[];

function ship(pg: number, bytes = 10): GroupShip {
  const epochs = { volumeEpoch: 1 as Epoch, membershipEpoch: 1 as Epoch };
  const points = { vdl: 3 as Lsn, pgmrpl: 2 as Lsn, logFloor: 1 as Lsn };
  const records = [new Uint8Array(bytes).fill(pg)];
  return {
    group: {} as Group,
    after: 5 as Lsn,
    parts: { volume: 'v' as VolumeId, pg: pg as PgIndex, ...epochs, ...points, records },
  };
}

function decoded(batch: ShipBatch) {
  return [...batch.messages()].map(({ node, frame }) => ({
    node,
    frame,
    groups: decodeShips(new Uint8Array(Buffer.concat(frame.parts))).map(({ pg, records }) => {
      assert.deepEqual(new Set(records), new Set([pg]));
      return Number(pg);
    }),
  }));
}

test('each member gets its own ships in order, and those that get the same get one frame', () => {
  const batch = new ShipBatch();
  batch.add(ship(1), [A, B]);
  batch.add(ship(2, 20_000), [A, B, C]);
  batch.add(ship(3), [B, A]);
  const messages = decoded(batch);
  assert.deepEqual(
    messages.map(({ node, groups }) => [node, groups]),
    [
      [A, [1, 2, 3]],
      [B, [1, 2, 3]],
      [C, [2]],
    ],
  );
  assert.equal(messages[0].frame, messages[1].frame);
  assert.equal(batch.bytes, 20_020);
});

test('short parts leave as one buffer, long ones as they lie', () => {
  const short = new ShipBatch();
  for (let pg = 0; pg < 50; pg++) short.add(ship(pg), [A]);
  assert.deepEqual(
    decoded(short).map(({ frame }) => frame.parts.length),
    [1],
  );
  const long = ship(1, 100_000);
  const batch = new ShipBatch();
  batch.add(long, [A]);
  const [{ frame }] = decoded(batch);
  assert.ok(frame.parts.includes(long.parts.records[0]), 'not copied');
});

test('a batch of nothing has no message', () => {
  const batch = new ShipBatch();
  batch.add(ship(1), []);
  assert.deepEqual([...batch.messages()], []);
});
