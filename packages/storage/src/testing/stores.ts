/** Stores on memory disks for tests, and the messages that they are told. */
import { MemoryDisk, SeededRandom, VirtualClock, type CodedError } from '@rokka/kernel';
import type { Epoch, Lsn, NodeId, PageNumber, PgIndex, VolumeId, Zone } from '@rokka/kernel';
import type * as m from '../messages.ts';
import type { StoreTuning } from '../store-tuning.ts';
import { SegmentStore } from '../store.ts';
import { joined, type MadeRecord } from './records.ts';

export const VOLUME = 'volume-1' as VolumeId;
export const PAGES = 64;

/** Small enough that a test of a few hundred records meets every boundary. */
export const SMALL: Partial<StoreTuning> = {
  logFileBytes: 64 * 1024,
  logBatchBytes: 16 * 1024,
  segmentLogBytes: 1 << 30,
  pageRecords: 1 << 30,
  logBytes: 1 << 30,
};

export class TestStore {
  readonly disk: MemoryDisk;
  readonly clock: VirtualClock;
  readonly store: SegmentStore;
  readonly failures: CodedError[] = [];

  constructor(
    options: {
      disk?: MemoryDisk;
      clock?: VirtualClock;
      tuning?: Partial<StoreTuning>;
      seed?: number;
      node?: NodeId;
    } = {},
  ) {
    this.disk = options.disk ?? new MemoryDisk();
    this.clock = options.clock ?? new VirtualClock();
    this.store = new SegmentStore({
      disk: this.disk,
      directory: 'node',
      cluster: 'test',
      zone: 'a' as Zone,
      node: options.node,
      clock: this.clock,
      random: new SeededRandom(options.seed ?? 1),
      tuning: { ...SMALL, ...options.tuning },
      onFailure: (error) => this.failures.push(error),
    });
  }

  /** Runs everything that is due within `ms`. */
  run(ms = 0): void {
    this.clock.advanceTo(this.clock.nowMs() + ms);
  }

  /** Calls with a continuation, and runs the flush that it waits for. Answers whether it was called. */
  wait<T>(call: (done: (value: T) => void) => void): T | undefined {
    let result: T | undefined;
    call((value) => (result = value));
    this.run();
    return result;
  }

  create(options: Partial<m.CreateSegment> = {}): void {
    this.wait<void>((done) => this.store.createSegment(createMessage(options), done));
  }

  /** Ships, flushes, and answers the durable SCL. */
  ship(records: readonly MadeRecord[], options: Partial<m.Ship> = {}): number {
    const segment = this.store.ship(shipMessage(records, options));
    this.run();
    return segment.durableScl;
  }

  fence(options: Partial<m.Fence> = {}): m.SegmentState {
    let state: m.SegmentState | undefined;
    this.store.fence(
      { ...head(options), members: options.members ?? [], ranges: options.ranges ?? [] },
      (segment) => {
        state = this.store.describe(segment, { withTail: true });
      },
    );
    this.run();
    return state as m.SegmentState;
  }

  read(page: number, readPoint: number, options: Partial<m.Read> = {}): m.PageVersion {
    const [version] = this.store.read({
      ...head(options),
      pages: [page as PageNumber],
      readPoint: readPoint as Lsn,
      requiredScl: options.requiredScl ?? (0 as Lsn),
    });
    return version;
  }

  /** A new process on the disk as it is, or as a crash leaves it. */
  reopened(options: { crash?: boolean; tuning?: Partial<StoreTuning> } = {}): TestStore {
    if (options.crash) this.disk.crash();
    else this.store[Symbol.dispose]();
    return new TestStore({ disk: this.disk, ...(options.tuning ? { tuning: options.tuning } : {}) });
  }
}

export function head(options: Partial<m.SegmentAddress & m.Epochs> = {}): m.SegmentAddress & m.Epochs {
  return {
    volume: options.volume ?? VOLUME,
    pg: options.pg ?? (0 as PgIndex),
    volumeEpoch: options.volumeEpoch ?? (1 as Epoch),
    membershipEpoch: options.membershipEpoch ?? (1 as Epoch),
  };
}

export function createMessage(options: Partial<m.CreateSegment> = {}): m.CreateSegment {
  return {
    ...head(options),
    kind: options.kind ?? 'full',
    firstPage: options.firstPage ?? (0 as PageNumber),
    pageCount: options.pageCount ?? PAGES,
    members: options.members ?? [
      { node: 'n' as NodeId, address: 'memory', zone: 'a' as Zone, kind: options.kind ?? 'full' },
    ],
    hydrate: options.hydrate ?? false,
    anew: options.anew ?? false,
  };
}

export function shipMessage(records: readonly MadeRecord[], options: Partial<m.Ship> = {}): m.Ship {
  return {
    ...head(options),
    vdl: options.vdl ?? (0 as Lsn),
    pgmrpl: options.pgmrpl ?? (0 as Lsn),
    logFloor: options.logFloor ?? (0 as Lsn),
    records: joined(records),
  };
}

/** A copy of a disk, as it is in the page cache. */
export function copyOf(disk: MemoryDisk): MemoryDisk {
  const copy = new MemoryDisk();
  for (const [path, { bytes }] of disk.files)
    copy.files.set(path, { bytes: bytes.slice(), synced: bytes.slice(), unsynced: [] });
  for (const directory of ['node', 'node/log', 'node/pages']) copy.makeDirectory(directory);
  return copy;
}

/** The disk as it is before its `nth` access, with what is synced and what is not; undefined until then. */
export class CrashImage {
  image: MemoryDisk | undefined;
  accesses = 0;

  constructor(disk: MemoryDisk, nth: number) {
    disk.onAccess = () => {
      if (++this.accesses === nth) this.image = snapshotOf(disk);
    };
  }

  /** What a crash leaves at that moment, if this much of each unsynced write had reached the disk. */
  crashed(fate: CrashFate): MemoryDisk | undefined {
    if (!this.image) return undefined;
    const disk = snapshotOf(this.image);
    disk.crash(({ length }) => ({ nothing: 0, everything: length, half: length >> 1 })[fate]);
    return disk;
  }
}

export const CRASH_FATES = ['nothing', 'everything', 'half'] as const;
export type CrashFate = (typeof CRASH_FATES)[number];

function snapshotOf(disk: MemoryDisk): MemoryDisk {
  const copy = copyOf(disk);
  for (const [path, { synced, unsynced }] of disk.files) {
    const file = copy.files.get(path);
    if (file) Object.assign(file, { synced: synced.slice(), unsynced: unsynced.slice() });
  }
  return copy;
}
