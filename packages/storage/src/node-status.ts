/** What STATUS answers: plain JSON, for `rokka status` and `rokka doctor`, and for tests. */
import * as process from 'node:process';
import type { Hydrator } from './hydration.ts';
import type { StorageNode } from './node.ts';
import { higher, type Segment } from './segment.ts';

export type NodeStatus = ReturnType<typeof describeNode>;

export function describeNode(node: StorageNode) {
  const { store, gossip, identity, hydrator, repairer, scrubber, pages } = node;
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
    hydration: { completed: hydrator.completedCount, pagesServed: pages.servedPages },
    scrub: {
      passes: scrubber.passCount,
      bytesScanned: scrubber.scannedBytes,
      pagesDamaged: scrubber.damagedPages,
      batchesDamaged: scrubber.damagedBatches,
      pagesRepaired: repairer.repairedPages,
      recordsRepaired: repairer.repairedRecords,
    },
    memory: describeMemory(),
    segments: [...store.segments.all].map((segment) => describe(segment, hydrator)),
  };
}

function describeMemory() {
  const { rss, heapUsed, external } = process.memoryUsage();
  return { residentBytes: rss, heapBytes: heapUsed, externalBytes: external };
}

/** How far a segment has come that is filled from its peers; null where it is whole. */
function describeHydration(segment: Segment, hydrator: Hydrator) {
  const { hydration, pageFile, pageCount, durableScl, readFloor, kind } = segment;
  if (!hydration) return null;
  const target = higher(hydration.target, readFloor);
  return {
    reason: hydration.reason,
    begun: hydration.begun,
    /** Pages of the segment that have been gone through, of how many, and how many of them there were. */
    nextPage: hydration.nextPage,
    pageCount: kind === 'full' ? pageCount : 0,
    pagesCopied: pageFile?.livePages ?? 0,
    /** LSNs that its log lacks of what it must reach. */
    logGap: Math.max(0, target - durableScl),
    waitsFor: hydrator.reasonOf(segment)?.message ?? null,
  };
}

function describe(segment: Segment, hydrator: Hydrator) {
  const { chain, pageFile } = segment;
  return {
    volume: segment.volume,
    pg: segment.pg,
    kind: segment.kind,
    ...segment.epochs,
    members: segment.members.map(({ node }) => node),
    retired: segment.retired,
    scl: segment.toldScl,
    vdl: segment.vdl,
    pgmrpl: segment.pgmrpl,
    coalesced: segment.coalesced,
    logFloor: chain.base,
    damaged: segment.damaged,
    fault: (segment.fault ?? segment.pagesFault)?.code ?? null,
    hydration: describeHydration(segment, hydrator),
    recordsInLog: chain.index.end - chain.index.first,
    recordsHeld: chain.heldCount,
    uncoalescedBytes: segment.uncoalescedBytes,
    pages: pageFile?.livePages ?? 0,
    pagesLost: segment.lostPages.size,
    recordsLost: segment.wounds.size,
    readFloor: segment.readFloor,
    pageFileBytes: pageFile?.sizeBytes ?? 0,
    ranges: chain.truncation.known.length,
  };
}
