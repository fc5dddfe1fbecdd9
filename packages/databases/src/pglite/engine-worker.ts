/**
 * The engine's thread: opens the filesystem on the volume's pages, makes the database where there is none, starts
 * PostgreSQL in WebAssembly on it and serves batches until it is told to end or is killed.
 *
 * Everything after the start is synchronous. The thread's event loop never turns again, so nothing here may depend on it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import {
  asPageNumber,
  CodedError,
  describeError,
  isCoded,
  must,
  systemClock,
  systemRandom,
} from '@rokka/kernel';
import { FileSystem } from '@rokka/filesystem';
import { blockUntilReady, SharedPageStore, type NotReady, type SharedPageMemory } from '@rokka/volume';
import { databaseErrors } from '../errors.ts';
import { DataDirectory } from './data-directory.ts';
import { EngineEnd, type EngineMemory } from './engine-channel.ts';
import { EngineLoop } from './engine-loop.ts';
import { PgliteInstance } from './pglite-instance.ts';
import type { CompiledWasm } from './pglite-module.ts';

export interface EngineWorkerData {
  readonly memory: EngineMemory;
  readonly pages: SharedPageMemory;
  readonly pageCacheBytes: number;
  readonly wasm: CompiledWasm;
  readonly pgliteVersion: string;
  readonly user: string;
  readonly database: string;
  /** Settings of PostgreSQL as `-c` takes them. */
  readonly settings: Readonly<Record<string, string>>;
}

/** What the worker posts. A bare 0 says that there are reply frames, or room for requests. */
export type EngineMessage =
  | 0
  | { readonly kind: 'progress'; readonly step: string }
  | { readonly kind: 'ready'; readonly functionBodies: readonly string[] }
  | { readonly kind: 'log'; readonly line: string }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

const port = must(parentPort, 'engine-worker.ts runs as a worker only');
const data = workerData as EngineWorkerData;
const post = (message: EngineMessage) => port.postMessage(message);
const store = new SharedPageStore(data.pages, { sizeBytes: data.pageCacheBytes });

try {
  await run();
} catch (error) {
  halt(error);
}

async function run(): Promise<void> {
  post({ kind: 'progress', step: 'opening the filesystem' });
  const files = openFiles();
  const directory = new DataDirectory(files, provide);
  if (!directory.mark()) await create(files, directory);
  checkMark(directory);
  post({ kind: 'progress', step: 'starting PostgreSQL' });
  const instance = await PgliteInstance.start(data, { files, root: directory.open(), provide, halt, log });
  const functionBodies = await instance.functionBodies();
  const loop = new EngineLoop({
    module: instance.module,
    end: new EngineEnd(data.memory, () => post(0)),
    applied: () => store.applied,
  });
  instance.onPoll = () => loop.pollCancel();
  post({ kind: 'ready', functionBodies });
  loop.serve();
}

function openFiles(): FileSystem {
  const options = { clock: systemClock, wait: provide };
  try {
    return FileSystem.mountBlocking(store, options);
  } catch (error) {
    if (!isCoded(error, 'FILESYSTEM_NONE')) throw error;
    blockUntilReady(() => FileSystem.format(store, { clock: systemClock, random: systemRandom }), provide);
    return FileSystem.mountBlocking(store, options);
  }
}

/** Blocks until the store has what an operation lacked. */
function provide(lacking: NotReady): void {
  for (const page of lacking.pages) store.page(page);
  if (lacking.mapPages <= store.mappedPages) return;
  // A write of nothing changes nothing, but only mapped pages can be written to.
  store.apply([{ page: asPageNumber(lacking.mapPages - 1), offset: 0, bytes: new Uint8Array(0) }]);
}

/** Takes two to four seconds, most of it in initdb. Cut off at any point, it starts over the next time. */
async function create(files: FileSystem, directory: DataDirectory): Promise<void> {
  post({ kind: 'progress', step: 'creating the database' });
  const root = directory.clear();
  const place = { files, root, provide, halt, log };
  try {
    const maker = await PgliteInstance.start({ ...data, database: 'postgres' }, place);
    if (data.database !== 'postgres') {
      post({ kind: 'progress', step: `creating the database ${data.database}` });
      await maker.exec(`create database "${data.database.replaceAll('"', '""')}"`);
    }
    await maker.close();
  } catch (error) {
    throw error instanceof CodedError
      ? error
      : databaseErrors.DATABASE_INITDB_FAILED([describeError(error)], { cause: error });
  }
  const { user, database } = data;
  directory.setMark({ postgresMajor: PgliteInstance.postgresMajor, user, database });
}

function checkMark(directory: DataDirectory): void {
  const mark = must(directory.mark(), 'the mark was set just now');
  const own = { postgresMajor: PgliteInstance.postgresMajor, user: data.user, database: data.database };
  const fits =
    mark.postgresMajor === own.postgresMajor && mark.user === own.user && mark.database === own.database;
  if (!fits) {
    const show = (of: typeof own) =>
      `PGlite (PostgreSQL ${of.postgresMajor}, user ${of.user}, database ${of.database})`;
    throw databaseErrors.DATABASE_DIRECTORY_FOREIGN([show(mark), show(own)]);
  }
}

/** Nothing may go on after this error. The owner is told and kills the thread, which touches nothing until then. */
function halt(error: unknown): never {
  const code = error instanceof CodedError ? error.code : 'DATABASE_ENGINE_LOST';
  const stack = error instanceof Error && !(error instanceof CodedError) ? error.stack : undefined;
  post({ kind: 'failed', code, message: stack ?? describeError(error) });
  const never = new Int32Array(new SharedArrayBuffer(4));
  for (;;) Atomics.wait(never, 0, 0);
}

function log(line: string): void {
  post({ kind: 'log', line });
}
