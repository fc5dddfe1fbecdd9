/** A head's way to the registry where the desk says nothing: what it is told, and that it finds out what became of its changes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CodedError, isCoded, settled, VirtualClock } from '@rokka/kernel';
import { MemoryRegistry } from '@rokka/registry';
import { type Connection, MemoryNetwork, type Network } from '@rokka/transport';
import { DESK, encodeJson } from '../desk-messages.ts';
import { DeskCaller, deskRegistry } from './desk-caller.ts';
import { decodeCall, encodeCall } from './head-calls.ts';

const KEY = 'volumes/vol-1';
const LATE_MS = 60_000;

/** A desk that carries out what it is asked, and a head that asks it. */
class Desk {
  readonly clock = new VirtualClock();
  readonly registry = new MemoryRegistry();
  readonly network = new MemoryNetwork({ clock: this.clock });
  readonly #caller: DeskCaller;
  readonly ofHead;

  constructor() {
    const { clock } = this;
    const inner = this.network.endpoint('head');
    const peerIdentity = { cluster: 'petals', role: 'authority', id: 'first' } as const;
    const network: Network = {
      listen: inner.listen,
      connect: async (address, handler, options) =>
        Object.assign(await inner.connect(address, handler, options), { peerIdentity }),
    };
    this.#caller = new DeskCaller({ network, desk: 'desk', clock });
    this.ofHead = deskRegistry(this.#caller);
  }

  async listen(): Promise<void> {
    const onFrame = (connection: Connection, frame: { requestId: number; body: Uint8Array }) => {
      const { requestId, body } = frame;
      void this.#answer(body).then(([type, parts]) => connection.send(type, requestId, parts));
    };
    await this.network.endpoint('desk').listen('desk', () => ({ onFrame, onClose: () => {} }));
  }

  async #answer(body: Uint8Array): Promise<[number, Uint8Array[]]> {
    const call = decodeCall(body)?.call;
    try {
      if (call?.what === 'registry-get')
        return [DESK.ANSWERED, encodeCall({ entry: await this.registry.get(call.key) })];
      assert.equal(call?.what, 'registry-put');
      const revision = await this.registry.put(call.key, call.value, call.expected);
      return [DESK.ANSWERED, encodeCall({ revision })];
    } catch (error) {
      assert.ok(isCoded(error));
      return [DESK.REFUSED, [encodeJson({ code: error.code, message: error.message, detail: error.detail })]];
    }
  }

  /** What comes of it when nothing more happens for a minute. */
  async outcome<T>(asked: Promise<T>): Promise<T | CodedError> {
    const told = asked.catch((error: unknown) => error as CodedError);
    for (let i = 0; i < 8; i++) {
      await settled();
      this.clock.advanceTo(this.clock.nowMs() + (i < 6 ? 0 : LATE_MS));
    }
    return told;
  }
}

const assertUnavailable = (outcome: unknown, inDoubt: boolean) => {
  assert.ok(isCoded(outcome, 'REGISTRY_UNAVAILABLE'), String(outcome));
  assert.equal(outcome.detail['inDoubt'], inDoubt);
  assert.equal(/is unknown until it is read again/.test(outcome.message), inDoubt);
};

test('what is answered and what is refused is passed on as it is', async () => {
  const desk = new Desk();
  await desk.listen();
  const { ofHead } = desk;
  const revision = await desk.outcome(ofHead.put(KEY, { n: 1 }, 0));
  assert.equal(typeof revision, 'number');
  assert.ok(isCoded(await desk.outcome(ofHead.put(KEY, { n: 2 }, 0)), 'REGISTRY_CONFLICT'));
  const entry = await desk.outcome(ofHead.get<{ n: number }>(KEY));
  assert.deepEqual(entry, { key: KEY, value: { n: 1 }, revision });
});

test('a change whose answer does not come is in doubt, and it may have been made', async () => {
  const desk = new Desk();
  await desk.listen();
  const { ofHead, network, registry } = desk;
  await desk.outcome(ofHead.get(KEY));
  network.hold('desk', 'head');
  assertUnavailable(await desk.outcome(ofHead.put(KEY, { n: 1 }, 0)), true);
  assert.deepEqual((await registry.get(KEY))?.value, { n: 1 });
  assertUnavailable(await desk.outcome(ofHead.get(KEY)), false);
  network.release('desk', 'head');
  const put = ofHead.put(KEY, { n: 2 }, (await registry.get(KEY))?.revision ?? 0);
  await settled();
  network.cut('desk', 'head');
  assertUnavailable(await desk.outcome(put), true);
});

test('a change that never left is in no doubt', async () => {
  const desk = new Desk();
  assertUnavailable(await desk.outcome(desk.ofHead.put(KEY, { n: 1 }, 0)), false);
});
