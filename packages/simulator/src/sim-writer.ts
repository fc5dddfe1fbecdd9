/** One process that opens the volume for writing, with its clients. It may be replaced, paused or killed at any moment. */
import {
  asEpoch,
  asLsn,
  isCoded,
  type CodedError,
  type NodeId,
  type VirtualClock,
  type VolumeId,
} from '@rokka/kernel';
import type { HealingTimes } from '@rokka/quorum';
import type { MemoryRegistry } from '@rokka/registry';
import type { MemoryNetwork } from '@rokka/transport';
import { Volume, type FleetNode, type VolumeRecord } from '@rokka/volume';
import { Client } from './client.ts';
import type { SimEvent } from './events.ts';
import type { Knobs } from './knobs.ts';
import { ObservedSink } from './observed-sink.ts';
import type { RegistryWeather } from './registry-weather.ts';
import { scaled, stream } from './seeds.ts';
import { CLUSTER } from './sim-node.ts';
import { ObservedRamLog, SimMemory } from './sim-memory.ts';
import { SimProcess } from './sim-process.ts';
import { simRegistry } from './sim-registry.ts';

export const VOLUME_ID = 'volume' as VolumeId;
const RECOVER_TIMEOUT_MS = 60_000;
/** Of the log in memory: some use both of its files, though little is on its way. */
const HALF_BYTES_LEAST = [1_024, 8_192, 262_144];

export interface SimWriterOptions {
  number: number;
  seed: number;
  knobs: Knobs;
  clock: VirtualClock;
  network: MemoryNetwork;
  registry: MemoryRegistry;
  registryWeather: RegistryWeather;
  emit(event: SimEvent): void;
  pages(): number;
  /** Every machine of the cluster, where members may be replaced. */
  fleet: (() => readonly FleetNode[]) | undefined;
  healingTimes: HealingTimes | undefined;
  /** Of the writer that was killed, from which it takes over; without it has one of its own. */
  memory: SimMemory | undefined;
  /** It ended by an error that is no error of the world. */
  onBug(error: unknown): void;
}

/** After so many more frames, or with so many bytes of what it keeps in its log in memory. */
export interface MidTurnDeath {
  readonly frames?: number | undefined;
  readonly ramBytes?: number | undefined;
  /** Frames of its opening do not count. */
  readonly whenOpen?: boolean | undefined;
  onFell(): void;
}

export type WriterState = 'opening' | 'open' | 'failed' | 'dead';

export class SimWriter {
  readonly name: string;
  readonly process: SimProcess;
  readonly memory: SimMemory;
  readonly #options: SimWriterOptions;
  #state: WriterState = 'opening';
  #volume: Volume | undefined;
  #client: Client | undefined;
  readonly #ramLog: ObservedRamLog;
  #death: MidTurnDeath | undefined;
  #framesLeft: number | undefined;
  /** It was killed in the middle of a turn. */
  fell = false;
  failure: CodedError | undefined;

  /** Begins to open at once. */
  constructor(options: SimWriterOptions) {
    this.#options = options;
    const { number, seed, knobs, clock, network, registry, registryWeather, emit, fleet, healingTimes } =
      options;
    this.name = `w${number}`;
    const process = new SimProcess(this.name, clock);
    this.process = process;
    this.memory = options.memory ?? new SimMemory(this.name);
    // What its clients and its log say when it is gone is heard by nobody: the rest of the turn in which it dies.
    const emitAlive = (event: SimEvent) => {
      if (process.alive) emit(event);
    };
    this.#ramLog = new ObservedRamLog(this.memory, {
      writer: this.name,
      halfBytesLeast: stream(seed, `memory ${this.memory.name}`).pick(HALF_BYTES_LEAST),
      isAlive: () => process.alive,
      emit: emitAlive,
    });
    const delays = stream(seed, `registry ${this.name}`);
    emit({ kind: 'fate', who: this.name, what: 'opening' });
    const opened = Volume.open({
      volumeId: VOLUME_ID,
      cluster: CLUSTER,
      registry: simRegistry({
        registry: registry.another(),
        process,
        clock,
        weather: registryWeather,
        delayMs: () => scaled(delays, knobs.registryMs / 4, knobs.registryMs),
        onPut: (_key, value) => emit({ kind: 'registry', record: value as VolumeRecord }),
      }),
      network: network.endpoint(this.name, { clock: process.clock }),
      addressOf: (node: NodeId) => node,
      clock: process.clock,
      random: stream(seed, `writer ${this.name}`),
      opening: stream(seed, `opening ${this.name}`).hex(8),
      recoverTimeoutMs: RECOVER_TIMEOUT_MS,
      outstandingBytesMax: knobs.outstandingBytesMax,
      crowded: knobs.crowded ?? false,
      ...(knobs.shipBytesMax === undefined ? {} : { shipBytesMax: knobs.shipBytesMax }),
      ramLog: this.#ramLog,
      takesOver: this.takesOver,
      ...(fleet
        ? { fleet, log: (text) => emitAlive({ kind: 'fate', who: this.name, what: 'says', why: text }) }
        : {}),
      ...(healingTimes ? { healingTimes } : {}),
      onFailed: (error) => this.#failed(error),
    });
    opened.then(
      (volume) => this.#opened(volume),
      (error: unknown) => this.#failed(error),
    );
  }

  get takesOver(): boolean {
    return this.#options.memory !== undefined;
  }

  get state(): WriterState {
    return this.#state;
  }

  get volume(): Volume | undefined {
    return this.#volume;
  }

  get client(): Client | undefined {
    return this.#client;
  }

  kill(): void {
    if (this.#state === 'dead') return;
    this.#state = 'dead';
    this.process.end();
    this.#options.network.kill(this.name, { sentArrives: true });
    this.#options.emit({ kind: 'fate', who: this.name, what: 'killed' });
  }

  /** It dies in the middle of what it does next; without, it lives on. */
  killWithin(death: MidTurnDeath | undefined): void {
    this.#death = death;
    this.#framesLeft = death?.frames;
    const { ramBytes } = death ?? {};
    this.#ramLog.torn = ramBytes === undefined ? undefined : { bytes: ramBytes, run: () => this.#fall() };
  }

  /** A frame of it was taken to be sent. */
  sent(): void {
    if (this.#framesLeft === undefined || (this.#state === 'opening' && this.#death?.whenOpen)) return;
    if (--this.#framesLeft === 0) this.#fall();
  }

  #fall(): void {
    if (this.#state !== 'opening' && this.#state !== 'open') return;
    this.fell = true;
    this.kill();
    this.#death?.onFell();
  }

  #opened(volume: Volume): void {
    if (this.#state !== 'opening') return;
    this.#state = 'open';
    this.#volume = volume;
    const { seed, knobs, pages } = this.#options;
    const emit = (event: SimEvent) => {
      if (this.process.alive) this.#options.emit(event);
    };
    const onBug = (error: unknown) => {
      if (this.process.alive) this.#options.onBug(error);
    };
    const epoch = asEpoch(volume.status().volumeEpoch);
    const vdl = asLsn(volume.durable);
    emit({ kind: 'opened', writer: this.name, epoch, vdl, tookOver: this.takesOver });
    const sink = new ObservedSink(volume, { writer: this.name, epoch, emit });
    this.#client = new Client({ writer: this.name, sink, seed, knobs, emit, pages, onBug });
  }

  /** Its owner ends with it, as the head process does. */
  #failed(error: unknown): void {
    if (this.#state === 'dead' || this.#state === 'failed') return;
    if (!isCoded(error)) return this.#options.onBug(error);
    this.failure = error;
    this.#state = 'failed';
    this.#options.emit({ kind: 'fate', who: this.name, what: 'failed', why: error.code });
    // At the end of what it is doing now: the volume tells its waiters first.
    this.process.clock.soon(() => this.kill());
  }
}
