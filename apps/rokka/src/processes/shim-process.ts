/**
 * The shim of a database that others use through a mount: what stays when its head is killed. It holds the device of the mount, PostgreSQL where
 * that is the engine, and the files in which a head leaves what is not durable yet. It does nothing with a volume itself.
 *
 * A head that is killed from outside has answered nothing that is neither durable nor in those files; so another one takes over, and whoever
 * uses the mount only waits. A head that ends by itself may have lost something: then all of this ends, the server first, and the
 * supervisor starts it anew.
 *
 * With PostgreSQL it runs in a mount namespace of its own, as the server and the heads do with it. It must never touch a path under the mount.
 */
import * as path from 'node:path';
import { Deferred, systemClock } from '@rokka/kernel';
import { privateSharedMemory } from '@rokka/databases';
import { launchChild, type Launch } from '../child.ts';
import { compileCacheEnvironment } from '../compile-cache.ts';
import { SpareProcess } from '../spare-process.ts';
import { type ParentChannel, runChild } from './channel.ts';
import { finalityOfHead } from './finality.ts';
import type { HeadProcessOptions } from './head-process.ts';
import { openLegacyFiles } from './legacy-fds.ts';
import { prepareStage } from './native-server.ts';
import { ShimDatabase } from './shim-database.ts';
import { StartSteps } from './start-steps.ts';

/** Of a spare perhaps long ago: what counts is what it is told when it begins. */
const launched = JSON.parse(process.argv[2] ?? '{}') as HeadProcessOptions;

await runChild({ finality: finalityOfHead, work: runShim });

async function runShim(channel: ParentChannel) {
  const resources = new AsyncDisposableStack();
  try {
    if (launched.engine === 'native') await privateSharedMemory();
    const { fds } = resources.use(openLegacyFiles());
    const launch: Launch = { command: () => headCommand(launched), fds };
    // Its code is loaded while the shim's is, or while both wait.
    const first = resources.use(new SpareProcess({ launch: () => launchChild(launch), onMissing: () => {} }));
    first.prepare();
    const stage = launched.engine === 'native' ? prepareStage(launched) : undefined;
    // A spare without a stage would fail whichever database began with it, perhaps long after the reason has gone: it ends instead.
    const { waited, argument } = await Promise.race([channel.begun, failureOf(stage)]);
    const steps = new StartSteps(systemClock, waited ? systemClock.nowMs() : 0);
    steps.done('code');
    const options = argument as HeadProcessOptions;
    const failed = new Deferred<never>();
    failed.promise.catch((error: unknown) => {
      throw error;
    });
    const database = new ShimDatabase(channel, {
      options,
      launch,
      first,
      stage,
      fail: (error) => failed.reject(error),
    });
    resources.use(database);
    const connection = await database.start(steps);
    channel.send({ kind: 'log', level: 'info', text: `PostgreSQL ready after ${steps.describe()}` });
    return {
      detail: connection,
      duties: database.duties,
      status: () => database.status(),
      [Symbol.asyncDispose]: () => resources.disposeAsync(),
    };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

/** Never settles where there is none. */
function failureOf(work: Promise<unknown> | undefined): Promise<never> {
  return new Promise((_, reject) => void work?.catch(reject));
}

function headCommand(options: HeadProcessOptions): {
  command: string;
  args: string[];
  env: Record<string, string>;
} {
  const program = path.join(import.meta.dirname, 'head-process.ts');
  // It serves nobody without us; and it may be deep in something when the channel closes.
  const args = ['--pdeathsig', 'KILL', '--', process.execPath, program, JSON.stringify(options)];
  return { command: 'setpriv', args, env: compileCacheEnvironment(options.directory) };
}
