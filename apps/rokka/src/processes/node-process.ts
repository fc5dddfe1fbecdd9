/** The process of one storage node. Its only argument is NodeProcessOptions as JSON; without it, it only compiles itself. */
import { systemClock, systemDisk, systemRandom, type NodeId, type Zone } from '@rokka/kernel';
import { describeNode, holdsNode, StorageNode } from '@rokka/storage';
import { unixNetwork } from '@rokka/transport';
import { keepCompiledCode } from '../compile-cache.ts';
import { rokkaErrors } from '../errors.ts';
import { clusterNetwork } from '../machines/cluster-network.ts';
import { runChild } from './channel.ts';

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
  /** Absent while the cluster is on one machine. */
  remote?: RemoteAccess;
}

export interface RemoteAccess {
  /** Key and certificate of the process. */
  certificate: string;
  /** `host:port` where it is renewed. */
  desk: string;
  /** Where other machines reach the node, `host:port`. */
  listen: string;
  /** Sockets of the nodes on this machine, by their ids. */
  neighbours: Readonly<Record<string, string>>;
}

/** Nothing that a restart would mend. */
const FINAL = [
  'ROKKA_NODE_MISSING',
  'STORAGE_DIRECTORY_VERSION',
  'STORAGE_DIRECTORY_FOREIGN',
  'STORAGE_DIRECTORY_EMPTIED',
  'TRANSPORT_PERMISSION',
  'TRUST_FILE_MISSING',
  'TRUST_FILE_OPEN',
  'TRUST_FILE_UNREADABLE',
];
/** A person waits, who gave the address; later it may only be that the machine's network is not up yet. */
const FINAL_AT_FIRST = ['TRANSPORT_ADDRESS_USED', 'TRANSPORT_LISTEN_FAILED', 'TRANSPORT_BAD_ADDRESS'];

if (process.argv[2] === undefined) keepCompiledCode();
else await run(JSON.parse(process.argv[2]) as NodeProcessOptions);

function run(options: NodeProcessOptions): Promise<void> {
  return runChild({
    finality: (code) =>
      FINAL.includes(code)
        ? 'always'
        : options.remote && FINAL_AT_FIRST.includes(code)
          ? 'at-first'
          : 'never',
    async work(channel) {
      const { remote, made, directory, socketDirectory } = options;
      if (made && !holdsNode(systemDisk, directory))
        throw rokkaErrors.ROKKA_NODE_MISSING([directory, options.node]);
      const resources = new AsyncDisposableStack();
      try {
        const tls =
          remote &&
          resources.use(
            (await import('../machines/member-tls.ts')).MemberTls.open({
              file: remote.certificate,
              desk: remote.desk,
              acceptRoles: ['node', 'head', 'authority'],
              log: (level, text) => channel.send({ kind: 'log', level, text }),
            }),
          );
        const node = await StorageNode.open({
          disk: systemDisk,
          directory,
          network: clusterNetwork({
            socketDirectory,
            unix: unixNetwork({ clock: systemClock }),
            tls: tls?.network,
            alsoListen: remote?.listen,
            whereIs: (id) => remote?.neighbours[id],
          }),
          address: options.address,
          clock: systemClock,
          random: systemRandom,
          cluster: options.cluster,
          node: options.node,
          zone: options.zone,
          log: (text) => channel.send({ kind: 'log', level: 'warn', text }),
        });
        resources.use(node);
        // A node that cannot go on ends its process; the supervisor decides about another one.
        void node.failed.then((error) => {
          throw error;
        });
        return {
          status: () => describeNode(node),
          [Symbol.asyncDispose]: () => resources.disposeAsync(),
        };
      } catch (error) {
        await resources.disposeAsync();
        throw error;
      }
    },
  });
}
