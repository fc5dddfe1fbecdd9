/**
 * Serves a fresh filesystem in memory, as a program of its own: `node serve.ts MOUNTPOINT [DEVICE]`. Says `ready` when it is
 * mounted, ends when its standard input does. With `--self-test` it runs a shell in the mount, prints what that says, and
 * ends by itself: for namespaces that end with it.
 */
import { FileSystem } from '@rokka/filesystem';
import { describeError, systemClock, systemRandom } from '@rokka/kernel';
import { MemoryPageStore } from '@rokka/volume';
import { FileSystemHandler } from '../filesystem-handler.ts';
import { FuseServer } from '../server.ts';
import { sh } from './mounted.ts';

const selfTest = process.argv.includes('--self-test');
const [mountPoint = '', device = '/dev/fuse'] = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const store = new MemoryPageStore();
FileSystem.format(store, { clock: systemClock, random: systemRandom });
const filesystem = FileSystem.mount(store, { clock: systemClock });
const handler = new FileSystemHandler({ filesystem, store });

try {
  await using server = await FuseServer.mount({
    handler,
    mountPoint,
    device,
    clock: systemClock,
    log: (line) => console.error(line),
  });
  console.log('ready');
  if (selfTest) {
    const script =
      'echo hello > a; mkdir d; mv a d/b; cat d/b; stat -c "%u %a" d/b; grep -c " $(pwd -P) fuse.rokka " /proc/self/mounts';
    console.log(await sh(script, server.mountPoint));
  } else {
    process.stdin.resume();
    await new Promise<void>((resolve) => process.stdin.once('end', resolve));
  }
} catch (error) {
  console.log(describeError(error));
  process.exitCode = 1;
}
