/** Framed, checked messages between processes: the contract, its two networks, and calls on top of it. */
export * from './connection.ts';
export { transportErrors } from './errors.ts';
export { unixNetwork, type UnixNetworkOptions } from './unix-network.ts';
export { MemoryNetwork, type MemoryNetworkOptions } from './memory-network.ts';
export type { Link } from './memory-connection.ts';
