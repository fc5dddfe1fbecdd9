/** Clients whose next batch waits for the backend, in the order in which they came. */
export interface Place {
  readonly number: number;
  readonly sinceMs: number;
}

export class WaitingLine<C> {
  readonly #places = new Map<C, Place>();
  #placed = 0;

  get first(): C | undefined {
    const [first] = this.#places.keys();
    return first;
  }

  has(client: C): boolean {
    return this.#places.has(client);
  }

  [Symbol.iterator](): Iterator<C> {
    return this.#places.keys();
  }

  /** At the end. */
  add(client: C, nowMs: number): Place {
    const place = { number: this.#placed++, sinceMs: nowMs };
    this.#places.set(client, place);
    return place;
  }

  /** At the place that it had: else whoever comes back again and again would never have his turn. */
  putBack(client: C, place: Place): void {
    const after = [...this.#places].filter(([, { number }]) => number > place.number);
    for (const [one] of after) this.#places.delete(one);
    for (const [one, its] of [[client, place] as const, ...after]) this.#places.set(one, its);
  }

  /** Answers the place that it had. */
  take(client: C): Place | undefined {
    const place = this.#places.get(client);
    this.#places.delete(client);
    return place;
  }
}
