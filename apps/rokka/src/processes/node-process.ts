/** The process of one storage node. Its only argument is NodeProcessOptions as JSON; without it, it only compiles itself. */
import { systemClock, systemDisk, systemRandom, type NodeId, type Zone } from '@rokka/kernel';
import { describeNode, StorageNode } from '@rokka/storage';
import { unixNetwork } from '@rokka/transport';
import { rokkaErrors } from '../errors.ts';
import { keepCompiledCode } from '../compile-cache.ts';
import { runChild } from './channel.ts';
import { relativeNetwork } from './relative-network.ts';

export interface NodeProcessOptions {
  cluster: string;
  node: NodeId;
  zone: Zone;
  directory: string;
  /** Sockets are named relative to it, so that a data directory may be moved. */
  socketDirectory: string;
  address: string;
  /** The directory must be there: an empty one in its place would be lost data. */
  made: boolean;
}

/** Nothing that a restart would mend. */
const FINAL = [
  'ROKKA_NODE_MISSING',
  'STORAGE_DIRECTORY_VERSION',
  'STORAGE_DIRECTORY_FOREIGN',
  'STORAGE_DIRECTORY_EMPTIED',
  'TRANSPORT_PERMISSION',
];

if (process.argv[2] === undefined) keepCompiledCode();
else await run(JSON.parse(process.argv[2]) as NodeProcessOptions);

function run(options: NodeProcessOptions): Promise<void> {
  return runChild({
    finality: (code) => (FINAL.includes(code) ? 'always' : 'never'),
    async work(channel) {
      if (options.made && !systemDisk.exists(options.directory))
        throw rokkaErrors.ROKKA_NODE_MISSING([options.directory, options.node]);
      const node = await StorageNode.open({
        disk: systemDisk,
        directory: options.directory,
        network: relativeNetwork(options.socketDirectory, unixNetwork({ clock: systemClock })),
        address: options.address,
        clock: systemClock,
        random: systemRandom,
        cluster: options.cluster,
        node: options.node,
        zone: options.zone,
        log: (text) => channel.send({ kind: 'log', level: 'warn', text }),
      });
      // A node that cannot go on ends its process; the supervisor decides about another one.
      void node.failed.then((error) => {
        throw error;
      });
      return {
        status: () => describeNode(node),
        [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
      };
    },
  });
}
