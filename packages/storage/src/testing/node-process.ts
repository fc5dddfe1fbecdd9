/** A storage node in a process of its own, for the tests that kill it. Arguments: directory, address, name. */
import { systemClock, type NodeId, type Zone } from '@rokka/kernel';
import { unixNetwork } from '@rokka/transport';
import { runStorageNode } from '../run-node.ts';

const [directory, address, node = 'n0'] = process.argv.slice(2) as [string, string, string?];
const ended = new AbortController();
process.once('SIGTERM', () => ended.abort());
const failure = await runStorageNode({
  directory,
  address,
  network: unixNetwork({ clock: systemClock }),
  cluster: 'test',
  zone: 'a' as Zone,
  node: node as NodeId,
  signal: ended.signal,
  tuning: { logFileBytes: 256 * 1024, logBatchBytes: 64 * 1024, segmentLogBytes: 128 * 1024 },
  onReady: () => process.stdout.write('ready\n'),
});
process.exitCode = failure ? 1 : 0;
