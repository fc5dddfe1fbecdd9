import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Epoch, Lsn, NodeId, PgIndex, VolumeId, Zone } from '@rokka/kernel';
import { beginReplacement, finishReplacement, settledMembership, type Membership } from '@rokka/quorum';
import type { SegmentState } from '@rokka/storage';
import { placeMembers } from './geometry.ts';
import { Group } from './group.ts';

const PG = 0 as PgIndex;
const NODES = 'abcdef'.split('').map((name, at) => ({ node: name as NodeId, zone: `z${at >> 1}` as Zone }));
const NEWCOMER = { node: 'g' as NodeId, zone: 'z2' as Zone };

function settled(): Membership {
  return settledMembership(1 as Epoch, placeMembers(NODES, PG, { allFull: false }));
}

/** f is replaced by g. */
function begun(before: Membership): Membership {
  const lastLsn = 7 as Lsn;
  const kind = before.slots[5].member.kind;
  return beginReplacement(before, { leaves: 'f' as NodeId, joins: { ...NEWCOMER, kind }, lastLsn });
}

function groupAt(membership: Membership): Group {
  return new Group({
    volume: 'v' as VolumeId,
    pg: PG,
    pagesPerGroup: 8,
    membership,
    addressOf: (node) => node,
  });
}

function answers(group: Group, nodes: string): void {
  const state = { membershipEpoch: group.roster.epoch, logFloor: 0, hydrating: false } as SegmentState;
  for (const node of nodes) group.markFenced(node as NodeId, state);
}

test('a replacement that has begun is known when four of the six before know it, and can be taken back without the newcomer', () => {
  const group = groupAt(settled());
  group.enter(begun(settled()));
  answers(group, 'abf');
  assert.equal(group.isInstalled, false);
  answers(group, 'c');
  assert.equal(group.isInstalled, true);
});

test('one that has ended is known when four of the six after know it', () => {
  const before = begun(settled());
  const group = groupAt(before);
  const scls = new Map('abcdefg'.split('').map((node) => [node as NodeId, 7 as Lsn]));
  group.enter(finishReplacement(before, 'g' as NodeId, { lastLsn: 7 as Lsn, pgcl: 7 as Lsn, scls }));
  answers(group, 'bcg');
  assert.equal(group.isInstalled, false);
  answers(group, 'd');
  assert.equal(group.isInstalled, true);
});

test('who knew the membership before knows nothing of the next', () => {
  const group = groupAt(settled());
  answers(group, 'abcdef');
  group.enter(begun(settled()));
  assert.equal(group.isInstalled, false);
});

test('who cannot be filled is known by those who are further: one that lacks as much has nothing for it, whatever it has kept', () => {
  const group = groupAt(settled());
  const scls = new Map(Object.entries({ a: 0, b: 30, c: 90, d: 90, e: 90, f: 90 }) as [NodeId, Lsn][]);
  const dropped = (node: string) => {
    const id = node as NodeId;
    return group.droppedByAllBut(id, scls.get(id) ?? (0 as Lsn), scls);
  };
  answers(group, 'ab');
  assert.equal(dropped('b'), 0, 'nobody is further');
  answers(group, 'cdef');
  for (const node of 'cdef') group.hasDroppedTo(node as NodeId, 40 as Lsn);
  assert.equal(dropped('a'), 0, 'b has some of it');
  assert.equal(dropped('b'), 40, 'a has nothing for it');
  scls.set('a' as NodeId, 30 as Lsn);
  assert.equal(dropped('a'), 40);
  group.hasDroppedTo('d' as NodeId, 20 as Lsn);
  assert.equal(dropped('a'), 20, 'd has kept what it lacks');
  group.markUnfenced('d' as NodeId);
  assert.equal(dropped('a'), 40);
});
