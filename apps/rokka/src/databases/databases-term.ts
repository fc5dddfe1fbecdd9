/**
 * All that one machine of a cluster does for its databases, for as long as it is the one: the controller with their heads, the keeper of their
 * archives, and the AWS API. On one machine that is as long as `rokka up` runs; where several may run the databases, a term of holding the
 * place (head-place.ts).
 *
 * Invariant: it remembers nothing of a term before. What is to be done stands in the registry, and nothing that an earlier term has
 * left on this machine is counted on.
 */
import * as fs from 'node:fs';
import { type CodedError, isCoded } from '@rokka/kernel';
import { type Databases, MAIN } from '@rokka/databases';
import { AwsFace } from '../aws-face.ts';
import { dataPaths } from '../data-directory.ts';
import { type HeldPlace, registryOfTerm } from '../head-place.ts';
import type { ArchiveKeeper } from './archive-keeper.ts';
import { closeArchiveStore } from './archive-store.ts';
import {
  type ClusterDatabasesOptions,
  openController,
  openDatabases,
  openKeeper,
} from './cluster-databases.ts';
import type { DatabaseController } from './controller.ts';
import type { Head } from './database-unit.ts';
import { sweepMounts } from './volume-mounts.ts';

export type DatabasesTermOptions = Omit<ClusterDatabasesOptions, 'onMainFinal'> & {
  /** Absent where no other machine may run them. */
  place?: HeldPlace;
  /** Main ended and must not be started again. */
  onFinal(error: CodedError): void;
};

export class DatabasesTerm implements AsyncDisposable {
  readonly controller: DatabaseController;
  /** Where it is wanted. */
  readonly aws: AwsFace | undefined;
  readonly #options: DatabasesTermOptions;
  readonly #databases: Databases;
  readonly #keeper: ArchiveKeeper;
  #ending = false;

  constructor(options: DatabasesTermOptions) {
    const { data, args, place, onFinal, onLog } = options;
    this.#options = options;
    const registry = place ? registryOfTerm(options.registry, place) : options.registry;
    const of = { ...options, registry, onMainFinal: onFinal };
    const onChanged = () => this.controller.nudge();
    this.#databases = openDatabases({ directory: data.path, registry, onChanged });
    this.controller = openController(this.#databases, of);
    this.#keeper = openKeeper(this.#databases, of);
    if (args.awsPort !== 0)
      this.aws = new AwsFace({
        directory: data.path,
        port: args.awsPort,
        allowShell: args.allowShell,
        onLog,
      });
  }

  get main(): Head | undefined {
    return this.controller.head(MAIN);
  }

  /** Resolves when main serves. @throws why it does not; what the registry throws */
  async start(): Promise<void> {
    const { data, args, onProgress } = this.#options;
    await this.#sweepMounts();
    fs.rmSync(dataPaths.stateCopies(data.path), { recursive: true, force: true });
    await this.#databases.beginAnew();
    await this.#databases.moveMain(args.port);
    if (this.#ending) return;
    onProgress('opening the database');
    await this.controller.start();
    if (this.#ending) return;
    this.#keeper.start();
    this.aws?.start();
  }

  /** Ends every process without asking. Dispose it as well. */
  kill(): void {
    this.#ending = true;
    this.aws?.kill();
    this.controller.kill();
  }

  /** Who asks for something first: then nothing is begun any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending = true;
    const kept = this.#keeper[Symbol.asyncDispose]();
    closeArchiveStore(this.#options.data.path);
    await Promise.all([kept, this.aws?.[Symbol.asyncDispose]()]);
    // Volumes of other machines stay mounted there.
    this.#options.placed[Symbol.dispose]();
    await this.controller[Symbol.asyncDispose]();
    await this.#sweepMounts();
  }

  /** What cannot be taken away now keeps nobody from starting: who mounts there tries again. */
  async #sweepMounts(): Promise<void> {
    try {
      await sweepMounts(this.#options.data.cluster);
    } catch (error) {
      if (!isCoded(error)) throw error;
      this.#options.onLog('warn', error.message);
    }
  }
}
