/** The nodes of other machines: what the registry says of them, and what they say of themselves when they are asked. */
import { isCoded, systemClock } from '@rokka/kernel';
import { MESSAGE, NodeClient } from '@rokka/storage';
import type { Network } from '@rokka/transport';
import type { NodeRecord } from '../cluster.ts';
import type { NodeStatus } from '../status.ts';
import { tlsTarget } from './cluster-network.ts';

const ASK_MS = 2_000;

export interface RemoteNodesOptions {
  cluster: string;
  /** TLS, as a member that nodes answer. */
  network: Network;
  /** This machine, as the records of nodes name it. */
  here: string | undefined;
  /** The newest records. */
  read(): Promise<NodeRecord[]>;
}

export class RemoteNodes {
  readonly #options: RemoteNodesOptions;

  constructor(options: RemoteNodesOptions) {
    this.#options = options;
  }

  /** @throws what the registry throws */
  async records(): Promise<NodeRecord[]> {
    const { read, here } = this.#options;
    return (await read()).filter(({ gone, machine }) => !gone && machine !== here);
  }

  /** One that does not answer in time has no detail, and says why in `error`. */
  async status(): Promise<NodeStatus[]> {
    return Promise.all((await this.records()).map((record) => this.#ask(record)));
  }

  async #ask(record: NodeRecord): Promise<NodeStatus> {
    const { cluster, network } = this.#options;
    try {
      const client = await NodeClient.connect({
        network,
        address: tlsTarget(record.node, record.address ?? ''),
        hello: { cluster, node: record.node },
        clock: systemClock,
        timeoutMs: ASK_MS,
      });
      try {
        const body = await client.request(MESSAGE.STATUS, [], { timeoutMs: ASK_MS });
        const detail = JSON.parse(Buffer.from(body).toString()) as NonNullable<NodeStatus['detail']>;
        return { ...record, restarts: 0, detail };
      } finally {
        client.close();
      }
    } catch (error) {
      if (!isCoded(error)) throw error;
      return { ...record, restarts: 0, error: error.code };
    }
  }
}
