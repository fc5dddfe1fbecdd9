/** PGlite in the head: the engine in a worker thread, its pages over shared memory, the wire server here. */
import * as path from 'node:path';
import { EmbeddedDatabase } from '@rokka/databases';
import { dataPaths } from '../data-directory.ts';
import type { Engine, EngineStart } from './engine.ts';
import { passwordOf } from './password.ts';

export async function startPgliteEngine(start: EngineStart): Promise<Engine> {
  const { volume, clock, random, port, directory } = start;
  const password = passwordOf(directory, start.name);
  const socketDirectory = dataPaths.postgresSockets(directory);
  const database = await EmbeddedDatabase.open({
    sink: volume,
    password,
    clock,
    random,
    pageCacheBytes: start.cacheBytes,
    settings: start.settings,
    onProgress: (step) => start.progress(step),
    onLog: (line) => start.log('info', line),
    onGarbage: (error) => start.log('info', error.message),
  });
  try {
    await database.listen({ host: '127.0.0.1', port });
    await database.listen({ path: path.join(socketDirectory, `.s.PGSQL.${port}`) });
  } catch (error) {
    await database.close();
    throw error;
  }
  start.steps.done('PGlite');
  return {
    detail: {
      host: '127.0.0.1',
      port,
      user: database.engine.user,
      database: database.engine.database,
      socketDirectory,
    },
    status: () => ({ kind: 'pglite', postgresPid: process.pid, restarts: 0, details: {} }),
    [Symbol.asyncDispose]: () => database.close(),
  };
}
