/** Values by number: equal values get one number, so that whole states compare as a few integers. */
import { must } from '@rokka/kernel';

export class Interned<T> {
  readonly #values: T[] = [];
  readonly #ids = new Map<string, number>();

  get size(): number {
    return this.#values.length;
  }

  id(key: string, value: T): number {
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = this.#values.length;
    this.#values.push(value);
    this.#ids.set(key, id);
    return id;
  }

  at(id: number): T {
    return must(this.#values[id], 'a number that stands for nothing');
  }
}

/** A function of strings, worked out once for each. */
export class Memo<T> {
  readonly #known = new Map<string, T>();

  get(key: string, work: () => T): T {
    const known = this.#known.get(key);
    if (known !== undefined || this.#known.has(key)) return known as T;
    const value = work();
    this.#known.set(key, value);
    return value;
  }
}
