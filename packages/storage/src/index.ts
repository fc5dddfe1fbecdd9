/** The storage node: a durable log, segments, pages and gossip; and the messages that it speaks. */
export * from './errors.ts';
export { holdsNode } from './identity.ts';
export * from './messages.ts';
export * from './message-codec.ts';
export { NodeClient, type NodeClientOptions } from './node-client.ts';
export { StorageNode, type StorageNodeOptions } from './node.ts';
export { describeNode, type NodeStatus } from './node-status.ts';
export { runStorageNode, type RunStorageNodeOptions } from './run-node.ts';
export type { StoreTuning } from './store-tuning.ts';
