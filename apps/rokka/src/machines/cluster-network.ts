/**
 * The network of a cluster on one machine or many. An address is the name of a socket in this machine's directory, or
 * `tls:ID@HOST:PORT`, which says whom to expect there. What nodes tell each other are such addresses, so they must mean the
 * same on every machine: a socket's name is told only while the cluster is on one.
 *
 * A node of this machine is reached by its socket, whatever its address says: no certificate and no encryption between
 * processes of one user.
 */
import * as path from 'node:path';
import { parseTlsAddress, transportErrors, type Listener, type Network } from '@rokka/transport';

const TLS = 'tls:';

export interface ClusterNetworkOptions {
  socketDirectory: string;
  unix: Network;
  /** Absent while the cluster is on one machine. */
  tls?: Network | undefined;
  /** A listener listens here as well, `host:port`. */
  alsoListen?: string | undefined;
  /** The newest that is known of where a member is: its socket's name, or its `tls:` address. */
  whereIs?: ((id: string) => string | undefined) | undefined;
}

export function clusterNetwork(options: ClusterNetworkOptions): Network {
  const { socketDirectory, unix, alsoListen, whereIs } = options;
  const tls = () => {
    if (options.tls) return options.tls;
    throw transportErrors.TRANSPORT_BAD_ADDRESS(['tls:', 'this machine has no certificate']);
  };
  const newest = (address: string) => whereIs?.(memberIn(address) ?? '') ?? address;
  return {
    async listen(address, handler) {
      const own = await unix.listen(path.join(socketDirectory, address), handler);
      if (alsoListen === undefined) return own;
      try {
        return both(await tls().listen(alsoListen, handler), own);
      } catch (error) {
        await own[Symbol.asyncDispose]();
        throw error;
      }
    },
    async connect(address, handler, how) {
      const target = newest(address);
      return target.startsWith(TLS)
        ? tls().connect(target.slice(TLS.length), handler, how)
        : unix.connect(path.join(socketDirectory, target), handler, how);
    },
  };
}

/** `tls:ID@HOST:PORT` of a member whose record has `tls:HOST:PORT`. */
export const memberAddress = (id: string, recorded: string): string => TLS + tlsTarget(id, recorded);

/** The same for a network that is TLS alone. */
export const tlsTarget = (id: string, recorded: string): string => `${id}@${recorded.slice(TLS.length)}`;

/** What a record has of a node that listens at `host:port`. */
export const recordedAddress = (hostAndPort: string): string => `${TLS}${hostAndPort}`;

/** The member that an address expects, if it names one. */
function memberIn(address: string): string | undefined {
  return address.startsWith(TLS) ? parseTlsAddress(address.slice(TLS.length)).id : undefined;
}

/** The socket goes last: it is what keeps another process out of the directory. */
function both(remote: Listener, own: Listener): Listener {
  return {
    address: own.address,
    async [Symbol.asyncDispose]() {
      await remote[Symbol.asyncDispose]();
      await own[Symbol.asyncDispose]();
    },
  };
}
