/**
 * Ships of several groups that leave together: each member gets all of its own in one message, and what several get is laid out once. A
 * volume of a hundred groups would else send a hundred small messages for a hundred commits, and be answered as many times by each node.
 */
import { joinNeighbours, type Lsn, type NodeId } from '@rokka/kernel';
import { encodeShips, MESSAGE, type ShipParts } from '@rokka/storage';
import { SharedFrame } from '@rokka/transport';
import type { Group } from './group.ts';

/** Parts of this length on average go out as they are: to copy them costs more than to write them as a vector. */
const LONG_PART_BYTES = 16 * 1024;

export interface GroupShip {
  readonly group: Group;
  /** The last LSN before its records. */
  readonly after: Lsn;
  readonly parts: ShipParts;
}

/** What one member gets. */
export interface ShipMessage {
  readonly node: NodeId;
  readonly ships: readonly GroupShip[];
  readonly frame: SharedFrame;
}

export class ShipBatch {
  readonly #shipsTo = new Map<NodeId, GroupShip[]>();
  #bytes = 0;

  /** Of records. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Those that a member gets of one group leave in the order in which they were added. */
  add(ship: GroupShip, to: Iterable<NodeId>): void {
    for (const node of to) {
      const ships = this.#shipsTo.get(node);
      if (ships) ships.push(ship);
      else this.#shipsTo.set(node, [ship]);
    }
    for (const { length } of ship.parts.records) this.#bytes += length;
  }

  *messages(): Iterable<ShipMessage> {
    const made: Omit<ShipMessage, 'node'>[] = [];
    for (const [node, ships] of this.#shipsTo) {
      let message = made.find((one) => areSame(one.ships, ships));
      if (!message) made.push((message = { ships, frame: frameOf(ships) }));
      yield { node, ...message };
    }
  }
}

function areSame(some: readonly GroupShip[], others: readonly GroupShip[]): boolean {
  return some.length === others.length && some.every((ship, at) => ship === others[at]);
}

/**
 * What lies side by side in memory is one part without a copy, as most of what was made one after the other does. Of what is left, one buffer is
 * made where parts are short: a burst of small records would be hundreds of them for each socket.
 */
function frameOf(ships: readonly GroupShip[]): SharedFrame {
  const few = joinNeighbours(encodeShips(ships.map(({ parts }) => parts)));
  const bytes = few.reduce((sum, part) => sum + part.length, 0);
  const parts = bytes >= few.length * LONG_PART_BYTES ? few : [Buffer.concat(few, bytes)];
  return new SharedFrame(MESSAGE.SHIP, parts);
}
