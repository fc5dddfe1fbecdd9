/** Further databases of a cluster under test: asked for as handlers do it, waited for, queried, and looked for afterwards. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { ClientConfig } from 'pg';
import { DatabaseSecrets, MAIN } from '@rokka/databases';
import { must, systemClock } from '@rokka/kernel';
import { openClusterRegistry } from '../cluster-registry.ts';
import type { DatabaseRequest } from '../commands/database.ts';
import { askControl, CONTROL } from '../control.ts';
import { dataPaths } from '../data-directory.ts';
import { openDatabases } from '../databases/cluster-databases.ts';
import type { DatabaseStatus } from '../databases/database-status.ts';
import { NEXT_HEAD_NAME } from '../databases/next-head.ts';
import type { RokkaUnderTest } from './rokka-under-test.ts';
import { queryOnce } from './superuser.ts';

/** Many pauses between two looks at what is left of deleted volumes. */
const TOMBSTONE_MS = 120_000;
const GONE_MS = 60_000;
const LOOK_AGAIN_MS = 100;

export class DatabasesUnderTest {
  readonly #rokka: RokkaUnderTest;

  constructor(rokka: RokkaUnderTest) {
    this.#rokka = rokka;
  }

  get #data(): string {
    return this.#rokka.place.data;
  }

  ask(request: DatabaseRequest): Promise<unknown> {
    return askControl(this.#data, CONTROL.DATABASE, request);
  }

  /** As another process of the machine that only writes records. */
  async wish<T>(write: (databases: ReturnType<typeof openDatabases>) => Promise<T>): Promise<T> {
    await using registry = await openClusterRegistry(this.#data);
    return await write(openDatabases({ directory: this.#data, registry }));
  }

  async find(name: string): Promise<DatabaseStatus | undefined> {
    return (await this.#rokka.status()).databases.find((one) => one.name === name);
  }

  async until(
    name: string,
    what: string,
    holds: (database: DatabaseStatus | undefined) => boolean,
  ): Promise<DatabaseStatus | undefined> {
    const of = (databases: readonly DatabaseStatus[]) => databases.find((one) => one.name === name);
    const status = await this.#rokka.until(`${name}: ${what}`, ({ databases }) => holds(of(databases)));
    return of(status.databases);
  }

  /** With the words of its head, which has a moment to answer in, and is asked again. */
  async available(name: string): Promise<DatabaseStatus> {
    const serves = (found?: DatabaseStatus) => found?.phase === 'available' && found.pid !== undefined;
    return must(await this.until(name, 'available', serves));
  }

  async connection(name: string): Promise<ClientConfig> {
    const { port, userName, databaseName } = must(await this.find(name));
    return {
      host: '127.0.0.1',
      port,
      user: userName,
      database: databaseName,
      password: must(await new DatabaseSecrets(dataPaths.secrets(this.#data)).read(name)),
      connectionTimeoutMillis: 60_000,
    };
  }

  async query<Row extends object>(name: string, sql: string): Promise<Row[]> {
    return queryOnce<Row>(await this.connection(name), sql, []);
  }

  /** Files in which storage nodes have pages. */
  pageFiles(): string[] {
    return fs.globSync('nodes/*/pages/*', { cwd: this.#data }).sort();
  }

  /** The same, for which nodes that come back may need a moment. */
  async untilOnlyMain(): Promise<void> {
    await this.#rokka.until('nodes have only main', ({ nodes, databases }) =>
      nodes.every(
        ({ detail }) => detail?.segments.every(({ volume }) => volume === databases[0]?.volumeId) ?? false,
      ),
    );
    for (const untilMs = systemClock.nowMs() + TOMBSTONE_MS; ;) {
      await using registry = await openClusterRegistry(this.#data);
      if ((await registry.list('volumes/')).length === 1) break;
      assert.ok(systemClock.nowMs() < untilMs, 'a tombstone stays');
      await systemClock.sleep(LOOK_AGAIN_MS);
    }
    await this.assertOnlyMain();
  }

  /** Of databases beside main there is no trace: no process, no segment, no file, no line in the registry. */
  async assertOnlyMain(): Promise<void> {
    const { databases, nodes } = await this.#rokka.status();
    assert.deepEqual(
      databases.map(({ name }) => name),
      [MAIN],
    );
    const volumes = new Set(
      nodes.flatMap(({ detail }) => detail?.segments.map(({ volume }) => volume) ?? []),
    );
    const main = must(databases[0]);
    assert.deepEqual(volumes, new Set([main.volumeId]));
    await using registry = await openClusterRegistry(this.#data);
    for (const prefix of ['volumes/', 'databases/', 'database-states/'])
      assert.equal((await registry.list(prefix)).length, 1, prefix);
    const secrets = fs.readdirSync(path.join(this.#data, 'secrets'));
    assert.deepEqual(
      secrets.filter((name) => name.includes('password')),
      ['postgres-password'],
    );
    const sockets = fs.readdirSync(dataPaths.postgresSockets(this.#data));
    assert.deepEqual(
      sockets.filter((name) => !name.includes(String(this.#rokka.place.port))),
      [],
    );
    // Who is killed has ended when the kernel comes to it.
    for (const untilMs = systemClock.nowMs() + GONE_MS; ;) {
      const left = this.#strayHeads();
      if (left.length === 0) break;
      assert.ok(systemClock.nowMs() < untilMs, left.join('\n'));
      await systemClock.sleep(LOOK_AGAIN_MS);
    }
  }

  /** One may wait for whichever begins next; whoever had waited and was taken has the same name, and is gone with its database. */
  #strayHeads(): string[] {
    const heads = this.#rokka.place.processes().filter((line) => line.includes('head-process'));
    const others = heads.filter((line) => !line.includes(`"name":"${MAIN}"`));
    const waits = (line: string) => line.includes(`"name":"${NEXT_HEAD_NAME}"`);
    return [...others.filter((line) => !waits(line)), ...others.filter(waits).slice(1)];
  }
}
