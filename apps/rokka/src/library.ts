/**
 * Rokka inside a Node program: the six storage nodes as child processes, the volume's writer and PostgreSQL (PGlite, in a
 * thread) in the program itself. What a query has answered lies on four of six copies.
 *
 * @example
 * await using db = await openRokka({ dataDirectory: './data' });
 * await db.query('select $1::int + 1 as two', [1]);
 */
import * as path from 'node:path';
import { EmbeddedDatabase } from '@rokka/databases';
import { type CodedError, systemClock, systemRandom } from '@rokka/kernel';
import { unixNetwork } from '@rokka/transport';
import { Volume } from '@rokka/volume';
import { openClusterRegistry } from './cluster-registry.ts';
import { loadCluster } from './cluster.ts';
import { DataDirectory, dataPaths } from './data-directory.ts';
import { rokkaErrors } from './errors.ts';
import { Fleet } from './fleet.ts';
import { clusterNetwork } from './machines/cluster-network.ts';
import { NodeSet } from './node-set.ts';

export interface RokkaOptions {
  /** Made where it is missing; one program at a time. */
  readonly dataDirectory: string;
  /** For programs that connect from outside after `listen`; a random one where none is given. */
  readonly password?: string;
  readonly onProgress?: (text: string) => void;
  /** The volume was taken over or cannot go on: every later query fails. */
  readonly onFailed?: (error: CodedError) => void;
}

/**
 * Opens the database in a data directory and everything under it. Dispose it to end it in order; whatever the program
 * does otherwise, its children end with it.
 * @throws ROKKA_DATA_HELD and others, ROKKA_ENGINE_FIXED where the directory holds a native database,
 *   ROKKA_WRONG_DIRECTORY where the cluster is on several machines
 */
export async function openRokka(options: RokkaOptions): Promise<EmbeddedRokka> {
  const resources = new AsyncDisposableStack();
  try {
    const { onProgress = () => {}, onFailed = () => {} } = options;
    const data = resources.use(
      DataDirectory.open(path.resolve(options.dataDirectory), () => ({ cluster: systemRandom.hex(16) })),
    );
    const registry = resources.use(await openClusterRegistry(data.path));
    const cluster = await loadCluster({
      registry,
      id: data.cluster,
      random: systemRandom,
      clock: systemClock,
      engine: async () => 'pglite',
    });
    if (cluster.database.engine !== 'pglite') {
      throw rokkaErrors.ROKKA_ENGINE_FIXED([cluster.database.engine, 'pglite']);
    }
    if (data.identity.joined ?? data.identity.registry ?? cluster.nodes.find(({ address }) => address)) {
      const use = 'a program cannot hold its database; start it with rokka up';
      throw rokkaErrors.ROKKA_WRONG_DIRECTORY([data.path, 'a cluster on several machines', use]);
    }
    const nodes = resources.use(
      new NodeSet({ data, cluster, onProgress, onLog: (_level, text) => onProgress(text) }),
    );
    await nodes.start();
    const fleet = resources.use(await Fleet.open(registry, { clock: systemClock }));
    const volume = resources.use(
      await Volume.open({
        volumeId: cluster.database.volumeId,
        cluster: cluster.id,
        crowded: true,
        registry,
        network: clusterNetwork({
          socketDirectory: dataPaths.sockets(data.path),
          unix: unixNetwork({ clock: systemClock }),
        }),
        addressOf: (node) => fleet.addressOf(node),
        fleet: () => fleet.nodes(),
        clock: systemClock,
        random: systemRandom,
        onProgress,
        onFailed,
      }),
    );
    const database = await EmbeddedDatabase.open({
      sink: volume,
      onProgress,
      ...(options.password === undefined ? {} : { password: options.password }),
    });
    resources.defer(() => database.close());
    return new EmbeddedRokka({ database, volume, nodes, resources });
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

export class EmbeddedRokka implements AsyncDisposable {
  readonly #database: EmbeddedDatabase;
  readonly #volume: Volume;
  readonly #nodes: NodeSet;
  readonly #resources: AsyncDisposableStack;

  constructor(parts: {
    database: EmbeddedDatabase;
    volume: Volume;
    nodes: NodeSet;
    resources: AsyncDisposableStack;
  }) {
    this.#database = parts.database;
    this.#volume = parts.volume;
    this.#nodes = parts.nodes;
    this.#resources = parts.resources;
  }

  /** One statement with parameters $1, $2, … Resolves when what it wrote is durable. */
  query: EmbeddedDatabase['query'] = (sql, parameters) => this.#database.query(sql, parameters);

  /** Any number of statements without parameters. */
  exec(sql: string): Promise<void> {
    return this.#database.exec(sql);
  }

  /** Commits when `work` resolves, rolls back when it rejects. */
  transaction: EmbeddedDatabase['transaction'] = (work) => this.#database.transaction(work);

  /** Lets psql and other programs in on a TCP port of loopback or a unix socket. */
  listen: EmbeddedDatabase['listen'] = (address) => this.#database.listen(address);

  /** Of the user `postgres`, for those that `listen` lets in. */
  get password(): string {
    return this.#database.password;
  }

  async status() {
    return { volume: this.#volume.status(), nodes: await this.#nodes.status() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}
