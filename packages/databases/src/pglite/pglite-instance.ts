/** PGlite itself: started on our filesystem with the settings that the volume makes possible. */
import { PGlite, type PGliteOptions } from '@electric-sql/pglite';
import type { FileSystem } from '@rokka/filesystem';
import { emscriptenFilesystem, type MountOptions } from './emscripten-filesystem.ts';
import type { EngineWorkerData } from './engine-worker.ts';
import { checkPgliteModule, type PgliteModule } from './pglite-module.ts';

const DATA_PATH = '/pglite/data';
const POSTGRES_MAJOR = 18;
/** FirstNormalObjectId of PostgreSQL. */
const FIRST_USER_OID = 16_384;

/**
 * Why each: a page write is one mini-transaction, so pages are never torn (full_page_writes, and with it most of the log);
 * log over old log, or over zeroes, would be shipped as changed bytes (wal_recycle, wal_init_zero); with
 * synchronous_commit=off nobody would ever write the log, since there is no walwriter; ERROR goes to the client, not
 * into our log.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  full_page_writes: 'off',
  wal_init_zero: 'off',
  wal_recycle: 'off',
  synchronous_commit: 'on',
  log_min_messages: 'fatal',
};

interface Place {
  readonly files: FileSystem;
  readonly root: MountOptions['root'];
  readonly provide: MountOptions['provide'];
  readonly halt: MountOptions['halt'];
  readonly log: (line: string) => void;
}

export class PgliteInstance {
  static readonly postgresMajor = POSTGRES_MAJOR;
  readonly module: PgliteModule;
  onPoll: () => void = () => {};
  readonly #pglite: PGlite;

  private constructor(pglite: PGlite, version: string) {
    this.#pglite = pglite;
    this.module = checkPgliteModule(pglite.Module, version);
  }

  /** @throws DATABASE_PGLITE_CHANGED; else whatever PGlite makes of a PostgreSQL that does not start */
  static async start(data: EngineWorkerData, place: Place): Promise<PgliteInstance> {
    const poll = { run: () => {} };
    const options = {
      fs: new VolumeFilesystem({ ...place, poll: () => poll.run() }),
      database: data.database,
      pgliteWasmModule: data.wasm,
      initDbStartParams: [`--username=${data.user}`, '--wal-segsize=1'],
      startParams: startParameters(data.settings),
      onStderr: place.log,
    };
    const pglite = await PGlite.create(options as unknown as PGliteOptions);
    const instance = new PgliteInstance(pglite, data.pgliteVersion);
    poll.run = () => instance.onPoll();
    return instance;
  }

  async exec(sql: string): Promise<void> {
    await this.#pglite.exec(sql);
  }

  /** Of functions that users have made, those in which a word of settings stands. */
  async functionBodies(): Promise<string[]> {
    const { rows } = await this.#pglite.query<{ body: string }>(
      `select body from (select coalesce(pg_get_function_sqlbody(oid), prosrc) as body
        from pg_catalog.pg_proc where oid >= ${FIRST_USER_OID}) as made
        where body ~* '\\m(set_config|set|reset)\\M'`,
    );
    return rows.map(({ body }) => body);
  }

  async close(): Promise<void> {
    await this.#pglite.close();
  }
}

/** PGlite's `Filesystem`, as far as a filesystem that is always in step has to do anything. */
export class VolumeFilesystem {
  readonly #mount: MountOptions;
  #fs: { quit(): void } | undefined;

  constructor(mount: MountOptions) {
    this.#mount = mount;
  }

  async init(_pglite: unknown, options: { preRun?: ((module: PgliteModule) => void)[] }) {
    const mount = (module: PgliteModule) => {
      this.#fs = module.FS;
      module.FS.mkdirTree(DATA_PATH);
      module.FS.mount(emscriptenFilesystem(module, this.#mount), {}, DATA_PATH);
    };
    return { emscriptenOpts: { ...options, preRun: [...(options.preRun ?? []), mount] } };
  }

  async initialSyncFs(): Promise<void> {}

  async syncToFs(): Promise<void> {}

  async closeFs(): Promise<void> {
    this.#fs?.quit();
  }

  dumpTar(): Promise<never> {
    return Promise.reject(new Error('take a snapshot of the volume instead'));
  }
}

/** `-O` of PGlite's defaults is left out: nobody should be able to change system tables by an ordinary UPDATE. */
export function startParameters(settings: Readonly<Record<string, string>>): string[] {
  const all = Object.entries({ ...settings, ...SETTINGS });
  return [
    ...PGlite.defaultStartParams.filter((parameter) => parameter !== '-O'),
    ...all.flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
}
