/** The writer's connections, one a node: to members, to those who may become members, and to those who were. */
import type { NodeId } from '@rokka/kernel';
import { NodeLink, type NodeLinkOptions } from './node-link.ts';

export interface NodeLinksOptions extends Omit<NodeLinkOptions, 'node' | 'address'> {
  /** Address of a storage node. */
  addressOf(node: NodeId): string;
}

export class NodeLinks implements AsyncDisposable {
  readonly #options: NodeLinksOptions;
  readonly #links = new Map<NodeId, NodeLink>();

  constructor(options: NodeLinksOptions) {
    this.#options = options;
  }

  /** The link to a node, which is kept up from here on. */
  to(node: NodeId): NodeLink {
    let link = this.#links.get(node);
    if (!link) {
      link = new NodeLink({ ...this.#options, node, address: this.#options.addressOf(node) });
      this.#links.set(node, link);
    }
    return link;
  }

  /** The same where there is one already. */
  get(node: NodeId): NodeLink | undefined {
    return this.#links.get(node);
  }

  values(): Iterable<NodeLink> {
    return this.#links.values();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link[Symbol.asyncDispose]()));
  }
}
