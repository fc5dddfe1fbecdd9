/**
 * Lends topics the Rokka that they measure. In the full run each has its own, new and with the settings that it asks for. In the
 * quick run one that runs is lent to one topic after the other, since a start takes longer than most of what is measured: then it
 * has the settings of pgbench, and what earlier topics have left on it.
 */
import { mkdirSync, rmSync } from 'node:fs';
import * as path from 'node:path';
import { freePort } from '@rokka/kernel/testing';
import { SETTINGS } from './plain-postgres.ts';
import { rokka, type RokkaOptions, type RokkaSystem } from './rokka-system.ts';

export type Wish = Pick<RokkaOptions, 'engine' | 'settings'>;

export class RokkaLender implements AsyncDisposable {
  readonly #directory: string;
  readonly #shared: boolean;
  #lent: { system: RokkaSystem; directory: string; engine: Wish['engine'] } | undefined;
  #made = 0;

  constructor(options: { directory: string; shared: boolean }) {
    this.#directory = options.directory;
    this.#shared = options.shared;
  }

  /** Ends what runs with another engine, so that nothing runs beside what is measured. */
  async lend({ engine, settings }: Wish): Promise<RokkaSystem> {
    if (this.#lent?.engine === engine) return this.#lent.system;
    await this.end();
    const directory = path.join(this.#directory, `system-${++this.#made}`);
    mkdirSync(directory);
    const given = this.#shared && engine === 'native' ? SETTINGS : settings;
    const system = await rokka({
      directory,
      port: await freePort(),
      engine,
      ...(given && { settings: given }),
    });
    this.#lent = { system, directory, engine };
    return system;
  }

  async takeBack(): Promise<void> {
    if (!this.#shared) await this.end();
  }

  async end(): Promise<void> {
    const lent = this.#lent;
    this.#lent = undefined;
    await lent?.system.stop();
    if (lent) rmSync(lent.directory, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }
}
