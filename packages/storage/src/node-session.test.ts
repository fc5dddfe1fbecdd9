import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteWriter, type Lsn } from '@rokka/kernel';
import { type Connection, placedHeadId, type Role } from '@rokka/transport';
import { MESSAGE } from './messages.ts';
import { NodeSession, type SessionHost } from './node-session.ts';
import { TestCluster } from './testing/cluster.ts';
import { RecordMaker } from './testing/records.ts';

test('the ack of a heartbeat covers a record that arrives in the same turn', async () => {
  await using cluster = await TestCluster.open(1);
  const [writer] = cluster.writers;
  await writer.create('full');
  const maker = new RecordMaker();
  for (let i = 1; i <= 20; i++) {
    writer.acks.length = 0;
    writer.ship([], { vdl: (i - 1) as Lsn });
    writer.ship(maker.many(1), { vdl: (i - 1) as Lsn });
    await cluster.pass(5);
    assert.equal(writer.acks.at(-1)?.scl, i, 'nothing else comes: the writer would wait for ever');
    for (const { scl } of writer.acks) assert.equal(scl, i, 'one flush, one SCL');
  }
});

test('so does that of a heartbeat on a connection of its own', async () => {
  await using cluster = await TestCluster.open(1);
  const [writer] = cluster.writers;
  await writer.create('full');
  const beside = await cluster.writer(0);
  const maker = new RecordMaker();
  beside.ship([]);
  writer.ship(maker.many(3));
  await cluster.pass(5);
  assert.deepEqual([beside.acks.at(-1)?.scl, writer.acks.at(-1)?.scl], [3, 3]);
  writer.ship(maker.many(2));
  await cluster.pass(5);
  assert.equal(beside.acks.at(-1)?.scl, 5, 'whoever has shipped hears of every advance');
});

test('a record that gossip brings is acknowledged to the writer without a further ship', async () => {
  await using cluster = await TestCluster.open(2);
  const [first, second] = cluster.writers;
  await first.create('full');
  await second.create('tail');
  const maker = new RecordMaker();
  const records = maker.many(10);
  first.ship(records);
  // The other one lacks the middle, and is sent nothing after that.
  second.ship([...records.slice(0, 3), ...records.slice(6)]);
  await cluster.pass(5);
  assert.equal(second.acks.at(-1)?.scl, 3);
  await cluster.pass(3_000);
  assert.equal(second.acks.at(-1)?.scl, 10);
  assert.equal(first.acks.at(-1)?.scl, 10);
});

test('a connection that has shipped nothing hears of nothing', async () => {
  await using cluster = await TestCluster.open(2);
  const [first, second] = cluster.writers;
  await first.create('full');
  await second.create('tail');
  first.ship(new RecordMaker().many(4));
  await cluster.pass(3_000);
  assert.equal([...cluster.nodes[1].store.segments.all][0]?.durableScl, 4, 'gossip has brought it');
  assert.deepEqual(second.acks, []);
});

test('of the members of other machines only a head may change what a node holds', () => {
  const refusalTo = (role: Role | undefined, type: number): string => {
    let said = '';
    const connection = {
      peerIdentity: role && { role, id: 'somebody' },
      send: (_type: number, _requestId: number, parts: Uint8Array[]) => {
        said += Buffer.concat(parts).toString();
        return true;
      },
      close: () => {},
    } as unknown as Connection;
    const session = new NodeSession(connection, {} as SessionHost);
    session.onFrame(connection, { type, requestId: 1, body: new Uint8Array(0) });
    return said;
  };
  for (const type of [
    MESSAGE.SHIP,
    MESSAGE.FENCE,
    MESSAGE.TRUNCATE,
    MESSAGE.CREATE_SEGMENT,
    MESSAGE.DROP_SEGMENT,
  ]) {
    for (const role of ['node', 'authority', 'admin'] as const)
      assert.match(refusalTo(role, type), /STORAGE_NOT_FOR_ROLE/, `${type} from a ${role}`);
    for (const role of ['head', undefined] as const)
      assert.match(refusalTo(role, type), /HELLO comes first/, `${type} from ${role}`);
  }
  for (const type of [MESSAGE.FETCH, MESSAGE.PEER_STATE, MESSAGE.PAGES, MESSAGE.STATUS])
    assert.match(refusalTo('node', type), /HELLO comes first/, 'as peers do');
});

test('a head that may have one volume is refused whatever is about another one', () => {
  const said = (type: number, body: Uint8Array): string => {
    let text = '';
    const connection = {
      peerIdentity: { cluster: 'c', role: 'head', id: placedHeadId({ volume: 'vol-1', machine: 'node-7' }) },
      send: (_type: number, _requestId: number, parts: Uint8Array[]) => {
        text += Buffer.concat(parts).toString();
        return true;
      },
      close: () => {},
    } as unknown as Connection;
    new NodeSession(connection, {} as SessionHost).onFrame(connection, { type, requestId: 1, body });
    return text;
  };
  const about = (volume: string) => new ByteWriter().string(volume).finish();
  const all = Object.entries(MESSAGE).filter(([name]) => !['HELLO', 'OK', 'ERROR', 'STATUS'].includes(name));
  for (const [name, type] of all) {
    assert.match(said(type, about('vol-2')), /STORAGE_NOT_FOR_VOLUME/, name);
    assert.match(said(type, about('vol-1')), /HELLO comes first/, name);
  }
  assert.match(said(MESSAGE.STATUS, new Uint8Array(0)), /STORAGE_NOT_FOR_VOLUME/);
  assert.match(said(MESSAGE.FENCE, new Uint8Array(0)), /KERNEL_SHORT_BYTES/);
});
