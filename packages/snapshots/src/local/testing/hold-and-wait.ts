/**
 * A process that holds the local file systems of a list, says so with the pid of its watchdog, and waits to be killed. Its arguments are the
 * list, the directory for the agent's state, the data directory, and for how long to hold.
 */
import * as fs from 'node:fs';
import { must, systemClock, systemRandom } from '@rokka/kernel';
import { localFileSystems } from '../filesystems.ts';

const [listFile, stateDirectory, dataDirectory, holdMs] = process.argv.slice(2);
const signal = AbortSignal.timeout(300_000);
const local = await localFileSystems({
  listFile: must(listFile),
  stateDirectory: must(stateDirectory),
  dataDirectory: must(dataDirectory),
  holdMs: Number(holdMs),
  clock: systemClock,
  random: systemRandom,
}).open(signal);
await must(local).provider.hold(signal);
await must(local).provider.snapshot(signal);
const children = fs.readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ');
console.log(JSON.stringify({ watchdog: Number(children[0]) }));
await systemClock.sleep(600_000);
