/** The state in which every search begins: a new volume, six members, its first writer serving. */
import { asLsn } from '@rokka/kernel';
import { packStatus, SLOTS } from './memberships.ts';
import { type Cores, newState, type State } from './scene.ts';
import { type Column, FIRST_COLUMN, type Opener, SHARED } from './state.ts';

export function firstState(cores: Cores): State {
  const membership = { epoch: 1, author: 0 };
  const opener: Opener = {
    phase: 'serving',
    membership,
    known: [],
    writer: { kept: asLsn(0), nextLsn: asLsn(1), sent: [], pgcl: asLsn(0) },
  };
  const state = newState();
  const shared = { membership, ranges: [], openers: [opener], begun: 0, promised: asLsn(0) };
  state[SHARED] = cores.sharedId(shared);
  const layout = cores.layouts[1];
  const segment = cores.segments.empty({ volumeEpoch: 1, membership, hydrating: false });
  const status = packStatus({ member: 0, candidate: 0, forced: false, since: 0, promised: 0 });
  const column: number[] = new Array<number>(layout.length).fill(0);
  column[0] = status;
  column[layout.view(0)] = status;
  column[layout.segment(0)] = segment;
  // The writer knows that all are empty.
  column[layout.first(0, 0)] = 1;
  column[layout.second(0, 0)] = 1;
  const id = cores.columnId(column satisfies Column);
  for (let slot = 0; slot < SLOTS; slot++) state[FIRST_COLUMN + slot] = id;
  return state;
}
