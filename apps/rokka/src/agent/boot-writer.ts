/**
 * The cluster itself as an application of its machine: the writer of the boot volume. Its snapshots are of a copy of the cluster's state, each database of
 * which is whole in itself; so nobody has to be held for it, and nothing of it is to be recovered.
 *
 * The copy is made while nobody is held yet, and is leased until the snapshots are there: it shows the state a little before their moment. A lease
 * ends by itself, so whoever dies keeps nothing.
 */
import { judgeStateCopy, type StateCopy } from '@rokka/databases';
import type { Clock } from '@rokka/kernel';
import type { Component, Frozen, Writer } from '@rokka/snapshots';
import { rokkaErrors } from '../errors.ts';

/** Of `BootMirror` in packages/services. */
export interface LeasedCopy {
  lease(ms: number): Promise<number>;
  letGo(version: number): Promise<void>;
  copy(): Promise<StateCopy | undefined>;
}

/** Others prepare for ten minutes at most, and hold for one. */
const LEASE_MS = 900_000;
const LOOK_MS = 100;

export class BootWriter implements Writer {
  readonly id = 'rokka';
  readonly #of: { readonly mirror: LeasedCopy; readonly clock: Clock };
  #version: number | undefined;

  constructor(of: { mirror: LeasedCopy; clock: Clock }) {
    this.#of = of;
  }

  identify(): Promise<readonly Component[]> {
    return Promise.resolve([{ name: 'the state of the cluster', paths: [] }]);
  }

  /** @throws ROKKA_STATE_UNCOPIED, errors of the registry, the signal's reason */
  async prepare(signal: AbortSignal): Promise<void> {
    const { mirror, clock } = this.#of;
    const version = await mirror.lease(LEASE_MS);
    this.#version = version;
    for (;;) {
      const verdict = judgeStateCopy((await mirror.copy()) ?? { version: 0 }, version);
      if (verdict.is === 'whole') return;
      if (verdict.is === 'failed') throw rokkaErrors.ROKKA_STATE_UNCOPIED([verdict.why]);
      await clock.sleep(LOOK_MS, signal);
    }
  }

  freeze(): Promise<Frozen> {
    return Promise.resolve({ level: 'application' });
  }

  thaw(): Promise<void> {
    return Promise.resolve();
  }

  abort(): Promise<void> {
    return Promise.resolve();
  }

  finish(): Promise<void> {
    return this.#letGo();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#letGo();
  }

  async #letGo(): Promise<void> {
    const version = this.#version;
    this.#version = undefined;
    if (version !== undefined) await this.#of.mirror.letGo(version);
  }
}
