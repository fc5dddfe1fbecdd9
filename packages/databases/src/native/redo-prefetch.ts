/**
 * Brings into memory what PostgreSQL is about to read while it recovers: it reads one block after the other and waits for
 * each, while its log says beforehand which they are.
 *
 * Only advice: where anything is odd it ends, and recovery reads the rest by itself.
 */
import type { Clock } from '@rokka/kernel';
import { segmentBytesOf, WAL_PAGE_BYTES, WalBlocks, type BlockReference } from './wal-blocks.ts';

/** The database's files, by names relative to its data directory. */
export interface DatabaseFiles {
  names(directory: string): Promise<readonly string[]>;
  /** How many bytes there were; undefined where there is no such file. */
  read(file: string, offset: number, into: Buffer): Promise<number | undefined>;
  /** Brings blocks of a file into memory, as far as it has them; resolves when they are there. */
  fetch(file: string, blocks: readonly number[]): Promise<void>;
}

export interface RedoPrefetch {
  readonly blocks: number;
  readonly logBytes: number;
}

const CONTROL_FILE = 'global/pg_control';
const WAL_DIRECTORY = 'pg_wal';
/** Up to the checkpoint's redo pointer (src/include/catalog/pg_control.h), the same since version 11. */
const CONTROL_BYTES = 48;
/** DBState: shut down, as a primary and in recovery. */
const SHUT_DOWN = [1, 2];
const SEGMENT_NAME = /^[0-9A-F]{24}$/;
/** Log of one step: what is found in it is asked for together. */
const STEP_BYTES = 64 * WAL_PAGE_BYTES;
/** Steps whose blocks may be on their way. */
const STEPS_MAX = 4;

const DEFAULT_TABLESPACE = 1663;
const GLOBAL_TABLESPACE = 1664;
const FORKS = ['', '_fsm', '_vm', '_init'];
const FILE_BLOCKS = 131_072;

/**
 * @param options.major PostgreSQL's version
 * @param options.blocksMax as many as there is room for, those of the log among them
 * @throws what the files throw; the signal's reason
 */
export async function prefetchRedo(
  files: DatabaseFiles,
  options: { major: number; blocksMax: number; clock: Clock; signal: AbortSignal },
): Promise<RedoPrefetch> {
  const { major, blocksMax, clock, signal } = options;
  const redo = await whereRedoBegins(files);
  const segments = (await files.names(WAL_DIRECTORY)).filter((name) => SEGMENT_NAME.test(name)).sort();
  const segmentBytes = redo === undefined ? undefined : await sizeOfSegments(files, segments);
  if (redo === undefined || segmentBytes === undefined) return { blocks: 0, logBytes: 0 };
  const wal = new WalBlocks({ major, segmentBytes, redo });
  const seen = new Set<string>();
  const steps: Promise<unknown>[] = [];
  let logBytes = 0;
  for (
    let at = wal.next;
    at !== undefined && seen.size + logBytes / WAL_PAGE_BYTES < blocksMax;
    at = wal.next
  ) {
    signal.throwIfAborted();
    const step = Buffer.alloc(Math.min(STEP_BYTES, segmentBytes - (at % segmentBytes)));
    const file = segmentAt(segments, Math.floor(at / segmentBytes), segmentBytes);
    const read = file === undefined ? 0 : await files.read(file, at % segmentBytes, step);
    if (read !== step.length) break;
    const wanted = new Map<string, number[]>();
    for (let from = 0; from < read && wal.next === at + from; from += WAL_PAGE_BYTES) {
      for (const reference of wal.push(step.subarray(from, from + WAL_PAGE_BYTES)))
        note(reference, { seen, wanted });
      logBytes += WAL_PAGE_BYTES;
    }
    const fetched = Promise.all(Array.from(wanted, ([name, blocks]) => files.fetch(name, blocks)));
    // It may fail long before its turn to be awaited comes.
    fetched.catch(() => {});
    steps.push(fetched);
    if (steps.length > STEPS_MAX) await steps.shift();
    // Where all of it is in memory nothing else would get its turn.
    await clock.sleep(0);
  }
  await Promise.all(steps);
  return { blocks: seen.size, logBytes };
}

/** The LSN from which recovery replays; undefined where it need not. */
async function whereRedoBegins(files: DatabaseFiles): Promise<number | undefined> {
  const control = Buffer.alloc(CONTROL_BYTES);
  if ((await files.read(CONTROL_FILE, 0, control)) !== CONTROL_BYTES) return undefined;
  return SHUT_DOWN.includes(control.readUInt32LE(16)) ? undefined : Number(control.readBigUInt64LE(40));
}

async function sizeOfSegments(
  files: DatabaseFiles,
  segments: readonly string[],
): Promise<number | undefined> {
  const page = Buffer.alloc(WAL_PAGE_BYTES);
  for (const name of segments) {
    const read = await files.read(`${WAL_DIRECTORY}/${name}`, 0, page);
    const bytes = read === WAL_PAGE_BYTES ? segmentBytesOf(page) : undefined;
    if (bytes !== undefined) return bytes;
  }
  return undefined;
}

/** Of the newest timeline: it begins with a copy of the one before. */
function segmentAt(segments: readonly string[], number: number, segmentBytes: number): string | undefined {
  const perLog = 2 ** 32 / segmentBytes;
  const hex = (value: number) => value.toString(16).toUpperCase().padStart(8, '0');
  const place = hex(Math.floor(number / perLog)) + hex(number % perLog);
  const name = segments.findLast((segment) => segment.endsWith(place));
  return name === undefined ? undefined : `${WAL_DIRECTORY}/${name}`;
}

function note(reference: BlockReference, to: { seen: Set<string>; wanted: Map<string, number[]> }): void {
  const file = fileOf(reference);
  if (file === undefined) return;
  const block = reference.block % FILE_BLOCKS;
  const key = `${file}:${block}`;
  if (to.seen.has(key)) return;
  to.seen.add(key);
  const blocks = to.wanted.get(file);
  if (blocks) blocks.push(block);
  else to.wanted.set(file, [block]);
}

/** Undefined in a tablespace that lies elsewhere. */
function fileOf({ tablespace, database, relation, fork, block }: BlockReference): string | undefined {
  const directory =
    tablespace === DEFAULT_TABLESPACE
      ? `base/${database}`
      : tablespace === GLOBAL_TABLESPACE
        ? 'global'
        : undefined;
  const suffix = FORKS[fork];
  if (directory === undefined || suffix === undefined) return undefined;
  const part = Math.floor(block / FILE_BLOCKS);
  return `${directory}/${relation}${suffix}${part === 0 ? '' : `.${part}`}`;
}
