/**
 * PGlite on pages in memory, in this thread: with the settings and the file calls of the embedded engine, and with amcheck,
 * which the engine itself does not bring along.
 *
 * An error of the filesystem ends the process: PGlite would retry for ever (emscripten-filesystem.ts).
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { PGlite, type PGliteOptions } from '@electric-sql/pglite';
import { amcheck } from '@electric-sql/pglite/contrib/amcheck';
import { describeError, systemClock } from '@rokka/kernel';
import { FileSystem } from '@rokka/filesystem';
import type { MemoryPageStore, NotReady } from '@rokka/volume';
import { DataDirectory } from '../pglite/data-directory.ts';
import { startParameters, VolumeFilesystem } from '../pglite/pglite-instance.ts';
import { compileWasm, type CompiledWasm } from '../pglite/pglite-module.ts';
import type { CutEngine, OpenDatabase } from './cut-engine.ts';

/** Few, so that pages are evicted all the time and not only by checkpoints. */
const SETTINGS = { shared_buffers: '1MB' };

export async function pgliteOnPages(): Promise<CutEngine> {
  const entry = fileURLToPath(import.meta.resolve('@electric-sql/pglite'));
  const wasm = await compileWasm(await readFile(new URL('pglite.wasm', `file://${entry}`)));
  return { sessionCount: 1, open: (store) => open(store, wasm) };
}

async function open(store: MemoryPageStore, wasm: CompiledWasm): Promise<OpenDatabase> {
  const files = FileSystem.mount(store, { clock: systemClock });
  // It has done all of its work when it returns: pages in memory are always there.
  const provide = (lacking: NotReady) => void store.prepare(lacking);
  const directory = new DataDirectory(files, provide);
  const made = directory.mark() !== undefined;
  const root = made ? directory.open() : directory.clear();
  const pglite = await PGlite.create({
    fs: new VolumeFilesystem({ files, root, provide, halt, poll: () => {} }),
    extensions: { amcheck },
    pgliteWasmModule: wasm,
    initDbStartParams: ['--username=postgres', '--wal-segsize=1'],
    startParams: startParameters(SETTINGS),
  } as unknown as PGliteOptions);
  if (!made) directory.setMark({ postgresMajor: 18, user: 'postgres', database: 'postgres' });
  const run = async (sql: string) => (await pglite.exec(sql)).at(-1)?.rows ?? [];
  // One that is only forgotten keeps its memory, once it has loaded amcheck.
  return { sessions: [{ run }], end: () => pglite.close() };
}

function halt(error: unknown): never {
  process.stderr.write(`${error instanceof Error ? error.stack : describeError(error)}\n`);
  process.exit(3);
}
