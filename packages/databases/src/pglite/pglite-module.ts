/**
 * The part of PGlite's Emscripten module that the engine is built on. Most of it is private to PGlite, so a new version may
 * change it without notice: `checkPgliteModule` looks at every piece at start-up, and the package pins the version.
 */
import { databaseErrors } from '../errors.ts';

/** Machine code that any thread can use. TypeScript knows WebAssembly only together with a browser's document. */
export type CompiledWasm = object;

export function compileWasm(bytes: Uint8Array): Promise<CompiledWasm> {
  const { WebAssembly } = globalThis as unknown as {
    WebAssembly: { compile(bytes: Uint8Array): Promise<CompiledWasm> };
  };
  return WebAssembly.compile(bytes);
}

export interface EmscriptenNode {
  name: string;
  parent: EmscriptenNode;
  mode: number;
  id: number;
  node_ops: object;
  stream_ops: object;
}

export interface EmscriptenStream {
  node: EmscriptenNode;
  position: number;
}

export interface EmscriptenFs {
  ErrnoError: new (errno: number) => Error;
  createNode(parent: EmscriptenNode | null, name: string, mode: number, dev?: number): EmscriptenNode;
  isDir(mode: number): boolean;
  mkdirTree(path: string, mode?: number): void;
  mount(type: object, options: object, path: string): void;
  quit(): void;
}

export interface PgliteModule {
  readonly FS: EmscriptenFs;
  /** A view that changes when the memory grows: read it anew for each access. */
  readonly HEAPU8: Uint8Array;
  /** Addresses of the backend's `volatile sig_atomic_t` flags. */
  readonly _QueryCancelPending: number;
  readonly _InterruptPending: number;
  addFunction(run: (pointer: number, length: number) => number, signature: string): number;
  mmapAlloc(length: number): number;
  stackSave(): number;
  stackRestore(pointer: number): void;
  _pgl_set_rw_cbs(read: number, write: number): void;
  /** Reads and works through one protocol message. Throws { status: 100 } for the backend's longjmp to its main loop. */
  _PostgresMainLoopOnce(): void;
  _PostgresMainLongJmp(): void;
  _PostgresSendReadyForQueryIfNecessary(): void;
  _pgl_pq_flush(): void;
  _pq_buffer_remaining_data(): number;
  _pgl_setPGliteActive(active: number): number;
  _pgl_run_atexit_funcs(): void;
}

const FUNCTIONS = [
  'addFunction',
  'stackSave',
  'stackRestore',
  '_pgl_set_rw_cbs',
  '_PostgresMainLoopOnce',
  '_PostgresMainLongJmp',
  '_PostgresSendReadyForQueryIfNecessary',
  '_pgl_pq_flush',
  '_pq_buffer_remaining_data',
  '_pgl_setPGliteActive',
  '_pgl_run_atexit_funcs',
] as const;
const FS_FUNCTIONS = ['ErrnoError', 'createNode', 'isDir', 'mkdirTree', 'mount', 'quit'] as const;
const ADDRESSES = ['_QueryCancelPending', '_InterruptPending'] as const;

/**
 * The module with the face above, each piece looked at.
 *
 * @throws DATABASE_PGLITE_CHANGED naming what is missing
 */
export function checkPgliteModule(candidate: unknown, version: string): PgliteModule {
  const module = (candidate ?? {}) as Record<string, unknown>;
  const fs = (module['FS'] ?? {}) as Record<string, unknown>;
  const missing: string[] = [
    ...FUNCTIONS.filter((name) => typeof module[name] !== 'function'),
    ...FS_FUNCTIONS.filter((name) => typeof fs[name] !== 'function').map((name) => `FS.${name}`),
    ...ADDRESSES.filter((name) => typeof module[name] !== 'number'),
  ];
  if (!(module['HEAPU8'] instanceof Uint8Array)) missing.push('HEAPU8');
  if (missing.length > 0) throw databaseErrors.DATABASE_PGLITE_CHANGED([version, missing.join(', ')]);
  return candidate as PgliteModule;
}
