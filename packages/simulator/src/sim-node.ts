/** One machine with a storage node: a disk that stays, and a process that comes and goes. */
import { isCoded, type CodedError, type NodeId, type VirtualClock, type Zone } from '@rokka/kernel';
import { StorageNode } from '@rokka/storage';
import type { MemoryNetwork } from '@rokka/transport';
import type { Knobs } from './knobs.ts';
import { stream } from './seeds.ts';
import { SimDisk, type Tear } from './sim-disk.ts';
import { SimProcess } from './sim-process.ts';

export const CLUSTER = 'sim';
const DIRECTORY = 'node';

export interface SimNodeOptions {
  id: NodeId;
  zone: Zone;
  seed: number;
  knobs: Knobs;
  clock: VirtualClock;
  network: MemoryNetwork;
  /** It runs, or has ended by itself: its disk failed, its directory was refused. */
  onFate(what: string, why?: string): void;
  /** It serves, on this data directory. */
  onStore(store: string): void;
  /** It ended by an error that is no error of the world. */
  onBug(error: unknown): void;
}

export class SimNode {
  readonly id: NodeId;
  readonly zone: Zone;
  readonly disk: SimDisk;
  readonly #options: SimNodeOptions;
  #process: SimProcess | undefined;
  #node: StorageNode | undefined;
  #starts = 0;
  /** The last start was refused, or the node ended by itself, for this. */
  failure: CodedError | undefined;
  /** It is to be emptied. */
  leaving = false;
  /** The cluster has struck it off its list. */
  givenUp = false;
  #burnt = false;

  constructor(options: SimNodeOptions) {
    this.id = options.id;
    this.zone = options.zone;
    this.#options = options;
    const { seed, id, knobs } = options;
    this.disk = new SimDisk({ sectorBytes: knobs.sectorBytes, random: stream(seed, `disk ${id}`) });
    this.disk.onSync = (ms) => this.#process?.block(ms);
    this.disk.onSpoilt = (path) => {
      if (path.endsWith('.log')) options.onFate('spoilt');
    };
  }

  get isUp(): boolean {
    return this.#process !== undefined;
  }

  get process(): SimProcess | undefined {
    return this.#process;
  }

  /** The node, while it runs and has opened its directory. */
  get node(): StorageNode | undefined {
    return this.#node;
  }

  start(): void {
    if (this.#process || this.#burnt) return;
    const { seed, knobs, clock, network, onFate } = this.#options;
    const number = ++this.#starts;
    const process = new SimProcess(this.id, clock);
    this.#process = process;
    this.failure = undefined;
    onFate('started');
    const opened = StorageNode.open({
      disk: this.disk.mount(),
      directory: DIRECTORY,
      network: network.endpoint(this.id, { clock: process.clock }),
      address: this.id,
      cluster: CLUSTER,
      zone: this.zone,
      node: this.id,
      clock: process.clock,
      random: stream(seed, `node ${this.id} ${number}`),
      ...(knobs.gossipIntervalMs !== undefined && { gossipIntervalMs: knobs.gossipIntervalMs }),
      tuning: knobs.slowReads ? { ...knobs.tuning, slowReadMs: 0 } : knobs.tuning,
    });
    opened.then(
      (node) => this.#opened(process, node),
      (error: unknown) => this.#ended(process, error),
    );
  }

  /** The process is killed; the machine goes on, and so does its page cache. */
  kill(): void {
    if (!this.#process) return;
    this.disk.detach();
    this.#gone();
  }

  /** The machine loses power, and with it what its disk has not synced. */
  losePower(tear: Tear, salt: number): void {
    this.disk.powerLoss(stream(salt, `power ${this.id}`), tear);
    if (this.#process) this.#gone();
  }

  get burnt(): boolean {
    return this.#burnt;
  }

  /** The machine is gone with its disk, and never comes back. */
  burn(): void {
    this.losePower('all', 0);
    this.disk.wipe();
    this.#burnt = true;
  }

  /** Stops in good order; `stopped` is called when it has. */
  stop(stopped: () => void): void {
    const node = this.#node;
    const process = this.#process;
    if (!node || !process?.alive) return;
    this.#node = undefined;
    void node[Symbol.asyncDispose]().then(() => {
      if (this.#process !== process) return;
      this.disk.detach();
      this.#gone();
      stopped();
    });
  }

  /** The process is not there any more. What the disk keeps is the caller's business. */
  #gone(): void {
    this.#options.onFate('gone');
    this.#process?.end();
    this.#options.network.kill(this.id, { sentArrives: true });
    this.#process = undefined;
    this.#node = undefined;
  }

  #opened(process: SimProcess, node: StorageNode): void {
    if (this.#process !== process) return;
    this.#node = node;
    this.#options.onStore(node.identity.log);
    void node.failed.then((error) => this.#ended(process, error));
  }

  #ended(process: SimProcess, error: unknown): void {
    if (this.#process !== process) return;
    // What is no error of the system is a bug, in whatever coded error it is wrapped.
    const cause = error instanceof Error ? error.cause : undefined;
    const { onFate, onBug } = this.#options;
    if (!isCoded(error)) return onBug(error);
    if (cause instanceof Error && !isCoded(cause) && !('code' in cause)) return onBug(cause);
    this.failure = error;
    onFate('ended', error.code);
    this.kill();
  }
}
