/**
 * What waits for an answer, by request id: a row in which an id's place is its lowest bits. Ids go up and round again, past those that
 * still wait, so an answer that comes too late meets nobody else's call.
 *
 * It is no Map, because the tables that a busy Map has outgrown point to those that came after: once the first of them is old, what was
 * answered long ago outlives one collection after the other.
 */
import { assert } from '@rokka/kernel';

const ID_MAX = 0xffff_ffff;
const PLACES_FIRST = 16;

export class WaitingCalls<T> {
  /** At least twice as many as wait, a power of two. */
  #places: ({ readonly id: number; readonly call: T } | undefined)[] = new Array(PLACES_FIRST).fill(
    undefined,
  );
  #count = 0;
  #lastId = 0;

  get count(): number {
    return this.#count;
  }

  /** An id, from 1 up, that nobody waits with. */
  nextId(): number {
    if (this.#count * 2 >= this.#places.length) this.#grow();
    do this.#lastId = this.#lastId === ID_MAX ? 1 : this.#lastId + 1;
    while (this.#places[this.#placeOf(this.#lastId)]);
    return this.#lastId;
  }

  /** @param id what `nextId` gave last */
  add(id: number, call: T): void {
    assert(this.#places[this.#placeOf(id)] === undefined, 'an id is used once');
    this.#places[this.#placeOf(id)] = { id, call };
    this.#count++;
  }

  get(id: number): T | undefined {
    const found = this.#places[this.#placeOf(id)];
    return found?.id === id ? found.call : undefined;
  }

  /** It waits no longer. */
  remove(id: number): T | undefined {
    const call = this.get(id);
    if (call === undefined) return undefined;
    this.#places[this.#placeOf(id)] = undefined;
    this.#count--;
    return call;
  }

  /** All of them, oldest id first as long as ids have not gone round; none waits any longer. */
  removeAll(): T[] {
    const all = this.#places.flatMap((one) => one ?? []);
    this.#places.fill(undefined);
    this.#count = 0;
    return all.sort((a, b) => a.id - b.id).map(({ call }) => call);
  }

  #placeOf(id: number): number {
    return id % this.#places.length;
  }

  /** Ids that differ in fewer of their lowest bits differ in more of them. */
  #grow(): void {
    const before = this.#places;
    this.#places = new Array(before.length * 2).fill(undefined);
    for (const one of before) if (one) this.#places[this.#placeOf(one.id)] = one;
  }
}
