/** What STATUS answers: plain JSON, for `rokka status` and `rokka doctor`, and for tests. */
import * as process from 'node:process';
import type { StorageNode } from './node.ts';
import type { Segment } from './segment.ts';

export type NodeStatus = ReturnType<typeof describeNode>;

export function describeNode(node: StorageNode) {
  const { store, gossip, identity } = node;
  const { log } = store;
  return {
    node: identity.node,
    cluster: identity.cluster,
    zone: identity.zone,
    address: node.address,
    connections: node.connectionCount,
    failure: log.failure ? { code: log.failure.code, message: log.failure.message } : null,
    incomplete: store.segments.incomplete,
    log: {
      files: log.fileCount,
      sizeBytes: log.sizeBytes,
      syncs: log.syncCount,
      bytesWritten: log.bytesWritten,
      damages: store.damages,
    },
    gossip: { exchanges: gossip.exchangeCount, fetchedRecords: gossip.fetchedRecords },
    generations: store.coalescer.generationCount,
    memory: describeMemory(),
    segments: [...store.segments.all].map(describe),
  };
}

function describeMemory() {
  const { rss, heapUsed, external } = process.memoryUsage();
  return { residentBytes: rss, heapBytes: heapUsed, externalBytes: external };
}

function describe(segment: Segment) {
  const { chain, pageFile } = segment;
  return {
    volume: segment.volume,
    pg: segment.pg,
    kind: segment.kind,
    ...segment.epochs,
    scl: segment.durableScl,
    vdl: segment.vdl,
    pgmrpl: segment.pgmrpl,
    coalesced: segment.coalesced,
    logFloor: chain.base,
    damaged: segment.damaged,
    fault: segment.fault?.code ?? null,
    recordsInLog: chain.index.end - chain.index.first,
    recordsHeld: chain.heldCount,
    uncoalescedBytes: segment.uncoalescedBytes,
    pages: pageFile?.livePages ?? 0,
    pagesLost: pageFile?.lostPages ?? 0,
    pageFileBytes: pageFile?.sizeBytes ?? 0,
    ranges: chain.truncation.known.length,
  };
}
