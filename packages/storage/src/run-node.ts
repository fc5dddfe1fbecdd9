/** A storage node as the whole of a process's work: `rokka`'s child processes call this and nothing else of the package. */
import { systemClock, systemDisk, systemRandom, type CodedError } from '@rokka/kernel';
import { StorageNode, type StorageNodeOptions } from './node.ts';

export type RunStorageNodeOptions = Omit<StorageNodeOptions, 'disk' | 'clock' | 'random'> &
  Partial<Pick<StorageNodeOptions, 'disk' | 'clock' | 'random'>> & {
    /** Ends the node in good order. */
    signal: AbortSignal;
    /** The node serves at its address. */
    onReady?: (node: StorageNode) => void;
  };

/**
 * Runs a node until `signal` aborts (resolves with undefined) or it cannot go on (resolves with the reason; the process
 * should then end with an error, and a supervisor may start it again).
 * @throws what StorageNode.open throws
 */
export async function runStorageNode(options: RunStorageNodeOptions): Promise<CodedError | undefined> {
  const { signal, onReady, ...rest } = options;
  await using node = await StorageNode.open({
    disk: systemDisk,
    clock: systemClock,
    random: systemRandom,
    ...rest,
  });
  onReady?.(node);
  return await Promise.race([node.failed, aborted(signal)]);
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}
