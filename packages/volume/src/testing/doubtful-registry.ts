/** A registry behind a line on which changes and answers get lost, for the tests of those who must find out what became of them. */
import { registryErrors, type Registry, type RegistryEntry } from '@rokka/registry';

/**
 * What becomes of the next change, and of all that is asked after it until the line is good again. `away`: nothing gets there. `mute`: it is
 * made, and the answer lost. `late`: it lies on its way until `arrive`, and the answer is given up before.
 */
export type Line = 'good' | 'away' | 'mute' | 'late';

export class DoubtfulRegistry implements Registry {
  /** Questions of any kind. */
  asked = 0;
  readonly #inner: Registry;
  #line: Line = 'good';
  /** A change was asked for on this line. */
  #isDown = false;
  #late: (() => Promise<unknown>)[] = [];

  constructor(inner: Registry) {
    this.#inner = inner;
  }

  set line(line: Line) {
    this.#line = line;
    this.#isDown = false;
  }

  get<T>(key: string): Promise<RegistryEntry<T> | undefined> {
    this.asked++;
    return this.#isDown ? this.#none(false) : this.#inner.get<T>(key);
  }

  list<T>(prefix: string): Promise<RegistryEntry<T>[]> {
    this.asked++;
    return this.#isDown ? this.#none(false) : this.#inner.list<T>(prefix);
  }

  async put(key: string, value: unknown, expectedRevision: number): Promise<number> {
    this.asked++;
    const text = JSON.stringify(value);
    const work = () => this.#inner.put(key, JSON.parse(text), expectedRevision);
    if (this.#line === 'good') return work();
    this.#isDown = true;
    if (this.#line === 'mute') await work();
    if (this.#line === 'late') this.#late.push(work);
    return this.#none(true);
  }

  async remove(): Promise<void> {
    return this.#none(true);
  }

  /** What lay on its way gets there, in order. Answers how much of it was made. */
  async arrive(): Promise<number> {
    const outcomes = await Promise.allSettled(this.#late.splice(0).map((work) => work()));
    return outcomes.filter(({ status }) => status === 'fulfilled').length;
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #none(inDoubt: boolean): Promise<never> {
    return Promise.reject(registryErrors.REGISTRY_UNAVAILABLE([5, 'n/a', inDoubt], { detail: { inDoubt } }));
  }
}
