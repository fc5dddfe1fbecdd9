/**
 * The list of what happened in one run. Each event goes to the oracles at once, into a hash that stands for the whole run
 * (two runs of one schedule must end with the same), and to whoever writes a trace.
 */
import { crc32 } from '@rokka/kernel';
import type { EventOf, SeenRecord, SimEvent, SimEventKind } from './events.ts';

/** What somebody does with the kinds of events that concern him. */
export type Listeners = { readonly [K in SimEventKind]?: (event: EventOf<K>) => void };

export class EventLog {
  readonly #nowMs: () => number;
  readonly #onBroken: (error: unknown) => void;
  readonly #listeners = new Map<SimEventKind, ((event: never) => void)[]>();
  readonly #counts = new Map<string, number>();
  readonly #scratch = new Float64Array(1);
  readonly #words = new Uint32Array(this.#scratch.buffer);
  #hash = 0;
  #length = 0;
  /** Takes a line for each event, with its time. */
  onEvent: ((atMs: number, event: SimEvent) => void) | undefined;

  /** @param options.onBroken takes what a listener throws: events are reported from within processes, which must not meet it */
  constructor(options: { nowMs: () => number; onBroken: (error: unknown) => void }) {
    this.#nowMs = options.nowMs;
    this.#onBroken = options.onBroken;
  }

  get length(): number {
    return this.#length;
  }

  /** Of everything so far: times, kinds, numbers and names; of bytes and of records their checksums. */
  get hash(): number {
    return this.#hash;
  }

  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** From now on. Whoever was added first hears of an event first. */
  add(listeners: Listeners): void {
    for (const [kind, listener] of Object.entries(listeners) as [SimEventKind, (event: never) => void][])
      this.#listeners.set(kind, [...(this.#listeners.get(kind) ?? []), listener]);
  }

  append(event: SimEvent): void {
    const atMs = this.#nowMs();
    this.#length++;
    this.#counts.set(event.kind, (this.#counts.get(event.kind) ?? 0) + 1);
    this.#mix(atMs);
    this.#mixValue(event);
    this.onEvent?.(atMs, event);
    try {
      for (const listener of this.#listeners.get(event.kind) ?? []) listener(event as never);
    } catch (error) {
      this.#onBroken(error);
    }
  }

  #mixValue(value: unknown): void {
    if (typeof value === 'number') this.#mix(value);
    else if (typeof value === 'boolean') this.#mix(value ? 1 : 0);
    else if (typeof value === 'string') this.#mixText(value);
    else if (value instanceof Uint8Array) this.#mix(crc32(value));
    else if (Array.isArray(value)) for (const one of value) this.#mixValue(one);
    else if (isRecord(value)) this.#mix(value.checksum);
    else if (value !== null && typeof value === 'object')
      for (const key in value) this.#mixValue((value as Record<string, unknown>)[key]);
  }

  #mix(value: number): void {
    this.#scratch[0] = value;
    const [low = 0, high = 0] = this.#words;
    this.#hash = (Math.imul(this.#hash ^ low, 0x01000193) ^ high) >>> 0;
    this.#hash = Math.imul(this.#hash ^ (this.#hash >>> 13), 0x5bd1e995) >>> 0;
  }

  #mixText(text: string): void {
    for (let i = 0; i < text.length; i++)
      this.#hash = Math.imul(this.#hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
}

/** Its checksum is of all that it says. */
function isRecord(value: unknown): value is SeenRecord {
  return typeof value === 'object' && value !== null && 'previousPgLsn' in value;
}
