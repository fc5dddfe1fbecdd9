/** Heads on joined machines without any: the first machine's side as it is, and stand-ins for the others, which do what they are told. */
import { ByteReader, SeededRandom, type VirtualClock } from '@rokka/kernel';
import type { Connection } from '@rokka/transport';
import { DESK, encodeJson } from '../machines/desk-messages.ts';
import type { HeadOrder, HeadReport, Orders, Said } from '../machines/heads/head-orders.ts';
import { PlacedHeads } from '../machines/heads/placed-heads.ts';

/** Of each volume. */
export const STAND_IN_BYTES = 2 ** 25;

/** One that joined. Each of its heads is what the test says, and ends when it is told to, unless the test says otherwise. */
export class StandInMachine {
  readonly id: string;
  /** What runs there. */
  readonly heads = new Map<string, HeadReport>();
  /** In which way each was ended. */
  readonly ends: string[] = [];
  /** Ends nothing. */
  lingers = false;
  #host: PlacedHeads | undefined;
  #connection: Connection | undefined;
  #seen = 0;

  constructor(id: string) {
    this.id = id;
  }

  /** Its link is there, over whichever was before. */
  connect(host: PlacedHeads): void {
    this.#host = host;
    this.#seen = 0;
    const connection = {
      peer: this.id,
      bufferedBytes: 0,
      send: (type: number, requestId: number, parts: Uint8Array[]) => {
        if (this.#connection === connection) this.#onFrame(type, requestId, Buffer.concat(parts));
        return true;
      },
      close: () => {
        if (this.#connection === connection) this.#connection = undefined;
      },
    } as unknown as Connection;
    this.#connection = connection;
    this.tell();
  }

  /** Its cable is pulled: nobody is told. */
  cut(): void {
    this.#connection = undefined;
  }

  tell(): void {
    if (!this.#connection) return;
    const body = encodeJson({ seen: this.#seen, heads: [...this.heads.values()] });
    this.#host?.onFrame(this.id, this.#connection, { type: DESK.HEADS, requestId: 0, body });
  }

  serve(name: string): void {
    this.#set(name, { ready: true, detail: { sizeBytes: STAND_IN_BYTES, mountPoint: `/run/${name}` } });
  }

  fail(name: string, final: Said): void {
    this.#set(name, { ready: false, final });
  }

  #set(name: string, part: Partial<HeadReport>): void {
    const known = this.heads.get(name);
    if (known) this.heads.set(name, { ...known, ...part });
    this.tell();
  }

  #onFrame(type: number, requestId: number, body: Uint8Array): void {
    const said: unknown = JSON.parse(new ByteReader(body).string());
    if (type === DESK.ASK) return this.#answer(requestId, said as { what: string });
    const { serial, orders, gone } = said as Orders;
    const isNews = serial !== this.#seen;
    this.#seen = serial;
    for (const name of gone) this.#end(name, 'at-once');
    for (const order of orders) this.#follow(order);
    // In another turn, as over a network.
    if (isNews) setImmediate(() => this.tell());
  }

  #follow({ name, generation, nonce, ends }: HeadOrder): void {
    const running = this.heads.get(name);
    if (ends) return this.#end(name, ends);
    if (running && (running.generation !== generation || running.nonce !== nonce)) this.#end(name, 'at-once');
    if (!this.heads.has(name)) this.heads.set(name, { name, generation, nonce, ready: false, restarts: 0 });
  }

  #end(name: string, how: string): void {
    if (!this.heads.has(name) || this.lingers) return;
    this.heads.delete(name);
    this.ends.push(`${name} ${how}`);
  }

  #answer(id: number, { what }: { what: string }): void {
    const connection = this.#connection;
    const body = encodeJson(
      what === 'ill' ? { code: 'ARCHIVE_EMPTY', message: 'it is so' } : { value: { what } },
    );
    if (connection) this.#host?.onFrame(this.id, connection, { type: DESK.ASKED, requestId: id, body });
  }
}

/** @param seed another one for each process */
export function placedHeads(clock: VirtualClock, seed: number): PlacedHeads {
  return new PlacedHeads({ clock, random: new SeededRandom(seed), log: () => {} });
}
