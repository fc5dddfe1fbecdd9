/** A process that freezes what is on the directories named after the kind of writer, says so, and waits to be killed. */
import { systemClock } from '@rokka/kernel';
import { mariadbKind } from '../mariadb/kind.ts';
import { redisKind } from '../redis/kind.ts';
import { preparedWriter } from './store.ts';

const [kind, ...mountPoints] = process.argv.slice(2);
const signal = AbortSignal.timeout(120_000);
const volumes = mountPoints.map((mountPoint) => ({ volume: mountPoint, mountPoint }));
const writer = await preparedWriter(kind === 'redis' ? redisKind() : mariadbKind(), volumes, signal);
await writer.freeze(signal);
console.log('frozen');
await systemClock.sleep(600_000);
