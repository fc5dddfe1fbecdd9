import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type * as net from 'node:net';
import { test } from 'node:test';
import { SeededRandom, VirtualClock } from '@rokka/kernel';
import type { Connection } from './connection.ts';
import { endWithCertificate, linkEndMs } from './tls-link-age.ts';

const DAY_MS = 86_400_000;

test('links of one certificate end one after the other, in its last sixth', () => {
  const random = new SeededRandom(6);
  const ends = Array.from({ length: 200 }, () =>
    linkEndMs({ validFromMs: 0, validToMs: 30 * DAY_MS }, DAY_MS, random),
  );
  for (const end of ends) assert.ok(end > 25 * DAY_MS && end <= 30 * DAY_MS);
  assert.equal(new Set(ends).size, ends.length);
  assert.ok(Math.max(...ends) - Math.min(...ends) > 4 * DAY_MS);
});

test('a link that is made late lives for half of what is left at least', () => {
  const random = new SeededRandom(6);
  for (let nowMs = 0; nowMs < 1000; nowMs += 50) {
    const end = linkEndMs({ validFromMs: 0, validToMs: 1000 }, nowMs, random);
    assert.ok(end >= nowMs + (1000 - nowMs) / 2 && end <= 1000);
  }
});

/** A link that is made now with a certificate of 60 days. */
function aging(clock: VirtualClock) {
  const reasons: (string | undefined)[] = [];
  const connection = { peer: 'a test', close: (reason) => void reasons.push(reason?.code) } as Connection;
  const socket = new EventEmitter() as net.Socket;
  const validFromMs = clock.wallMs();
  const peer = {
    cluster: 'petals',
    role: 'node' as const,
    id: 'n1',
    hosts: [],
    validFromMs,
    validToMs: validFromMs + 60 * DAY_MS,
  };
  endWithCertificate({ connection, socket, peer, clock, random: new SeededRandom(1) });
  return { reasons, socket };
}

test('it ends when its time has come, though no timer reaches so far', () => {
  const clock = new VirtualClock();
  const { reasons } = aging(clock);
  clock.advanceTo(50 * DAY_MS);
  assert.deepEqual(reasons, []);
  clock.advanceTo(60 * DAY_MS);
  assert.deepEqual(reasons, ['TRANSPORT_TLS_LINK_AGED']);
  assert.equal(clock.nextMs(), undefined);
});

test('one that has closed is not watched any more', () => {
  const clock = new VirtualClock();
  const { reasons, socket } = aging(clock);
  socket.emit('close');
  assert.equal(clock.nextMs(), undefined);
  clock.advanceTo(61 * DAY_MS);
  assert.deepEqual(reasons, []);
});
