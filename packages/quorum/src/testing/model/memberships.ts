/**
 * Memberships as six small numbers, one a slot, and the real ones that they stand for. The order of slots of one kind says
 * nothing about a membership, so the numbers can be sorted together with all else that belongs to a slot.
 */
import {
  assert,
  asEpoch,
  asLsn,
  asPgIndex,
  isCoded,
  type Lsn,
  must,
  type NodeId,
  type PgIndex,
  type Zone,
} from '@rokka/kernel';
import { satisfied, type Member } from '../../expression.ts';
import type { MemberKind, QuorumFormulas } from '../../formulas.ts';
import { beginReplacement, type Membership, type Slot } from '../../membership.ts';
import { Memo } from './interned.ts';
import type { Rules } from './rules.ts';

export const SLOTS = 6;
/** The model has one protection group. */
export const PG: PgIndex = asPgIndex(0);

/** One slot's part of a membership. Nodes of a slot are numbered in the order in which they came. */
export interface SlotStatus {
  readonly member: number;
  /** 0 where there is none: the first node of a slot is never a newcomer. */
  readonly candidate: number;
  readonly forced: boolean;
  readonly since: number;
  /** Oracle: what had been promised when the candidate came. */
  readonly promised: number;
}

/** Without `since` and `promised`, which formulas don't depend on. */
const SHAPE_MASK = 0x1f;
/** Without `promised`, which no core knows of. */
const BARE_MASK = 0x3ff;

export function packStatus({ member, candidate, forced, since, promised }: SlotStatus): number {
  return member | (candidate << 2) | (forced ? 16 : 0) | (since << 5) | (promised << 10);
}

export function unpackStatus(status: number): SlotStatus {
  return {
    member: memberOf(status),
    candidate: candidateOf(status),
    forced: (status & 16) !== 0,
    since: (status >> 5) & 31,
    promised: (status >> 10) & 31,
  };
}

export const memberOf = (status: number) => status & 3;
export const candidateOf = (status: number) => (status >> 2) & 3;

/** What a transition needs to know beside the membership. */
export interface Change {
  readonly slot: number;
  /** The slot's node that comes, where one does. */
  readonly joins: number;
  readonly lastLsn: number;
  readonly pgcl: number;
  /** By node, as `nodeAt` numbers them; undefined where nothing is known. */
  readonly scls: readonly (number | undefined)[];
  /** Nodes that obey the recovery, as bits. */
  readonly fenced: number;
  /** The oracle's knowledge. */
  readonly promised: number;
}

interface Tables {
  readonly formulas: QuorumFormulas;
  readonly read: Uint8Array;
  readonly write: Uint8Array;
}

export class Memberships {
  readonly #rules: Rules;
  readonly #kinds: readonly MemberKind[];
  /** Nodes that a slot may see, the first included. */
  readonly nodesPerSlot: number;
  readonly #tables = new Map<number, Tables>();
  readonly #transitions = new Memo<readonly number[] | undefined>();

  constructor(options: { rules: Rules; kinds: readonly MemberKind[]; newcomers: number }) {
    this.#rules = options.rules;
    this.#kinds = options.kinds;
    this.nodesPerSlot = 1 + options.newcomers;
    assert(this.nodesPerSlot <= 4, 'a node of a slot is numbered with two bits');
  }

  /** Place of a node among all, and its bit in masks. */
  nodeAt(slot: number, node: number): number {
    return slot * this.nodesPerSlot + node;
  }

  nameOf(index: number): NodeId {
    return nodeName(Math.floor(index / this.nodesPerSlot), index % this.nodesPerSlot);
  }

  indexOf(name: Member): number {
    return this.nodeAt(name.charCodeAt(0) - 65, Number(name.slice(1)));
  }

  /** Members and candidates. */
  nodesOf(statuses: readonly number[]): number[] {
    return statuses.flatMap((status, slot) => {
      const member = this.nodeAt(slot, memberOf(status));
      const candidate = candidateOf(status);
      return candidate === 0 ? [member] : [member, this.nodeAt(slot, candidate)];
    });
  }

  formulas(statuses: readonly number[]): QuorumFormulas {
    return this.#tablesOf(statuses).formulas;
  }

  canRead(statuses: readonly number[], nodes: number): boolean {
    const { read, formulas } = this.#tablesOf(statuses);
    return this.#look(read, formulas.read, nodes);
  }

  canWrite(statuses: readonly number[], nodes: number): boolean {
    const { write, formulas } = this.#tablesOf(statuses);
    return this.#look(write, formulas.write, nodes);
  }

  /** The statuses after a replacement began; undefined where it is refused. */
  begin(statuses: readonly number[], change: Change): readonly number[] | undefined {
    return this.#transition('begin', statuses, change, (before, asked) =>
      beginReplacement(before, this.#join(before, asked)),
    );
  }

  force(statuses: readonly number[], change: Change): readonly number[] | undefined {
    return this.#transition('force', statuses, change, (before, asked) => {
      const fenced = new Set(this.#namesIn(asked.fenced));
      return this.#rules.force(before, { ...this.#join(before, asked), fenced });
    });
  }

  giveUp(statuses: readonly number[], change: Change): readonly number[] | undefined {
    return this.#transition('give up', statuses, change, (before, asked) => {
      const fenced = new Set(this.#namesIn(asked.fenced));
      return this.#rules.giveUp(before, must(before.slots[asked.slot]?.candidate).node, { fenced });
    });
  }

  finish(statuses: readonly number[], change: Change): readonly number[] | undefined {
    return this.#transition('finish', statuses, change, (before, asked) =>
      this.#rules.finish(before, must(before.slots[asked.slot]?.candidate).node, this.#standing(asked)),
    );
  }

  revert(statuses: readonly number[], change: Change): readonly number[] | undefined {
    return this.#transition('revert', statuses, change, (before, asked) =>
      this.#rules.revert(before, must(before.slots[asked.slot]?.candidate).node, this.#standing(asked)),
    );
  }

  #tablesOf(statuses: readonly number[]): Tables {
    let key = 0;
    for (let slot = 0; slot < SLOTS; slot++) key = key * 32 + (must(statuses[slot]) & SHAPE_MASK);
    const known = this.#tables.get(key);
    if (known) return known;
    const size = 1 << (SLOTS * this.nodesPerSlot);
    const tables = {
      formulas: this.#rules.formulasOf(this.#real(statuses)),
      read: new Uint8Array(size),
      write: new Uint8Array(size),
    };
    this.#tables.set(key, tables);
    return tables;
  }

  /** `table` holds 0 where nobody has looked yet, else 1 for no and 2 for yes. */
  #look(table: Uint8Array, formula: QuorumFormulas['read'], nodes: number): boolean {
    const known = must(table[nodes]);
    if (known !== 0) return known === 2;
    const yes = satisfied(formula, (member) => (nodes & (1 << this.indexOf(member))) !== 0);
    table[nodes] = yes ? 2 : 1;
    return yes;
  }

  #real(statuses: readonly number[]): Membership {
    const slots = statuses.map((status, slot): Slot => {
      const { member, candidate, forced, since } = unpackStatus(status);
      const place = { kind: must(this.#kinds[slot]), zone: 'abc'[slot % 3] as Zone };
      if (candidate === 0) return { member: { node: nodeName(slot, member), ...place } };
      return {
        member: { node: nodeName(slot, member), ...place },
        candidate: {
          node: nodeName(slot, candidate),
          ...place,
          since: asLsn(since),
          ...(forced ? { forced: true as const } : {}),
        },
      };
    });
    // The search keeps the epoch itself; the transition only adds one to it.
    return { epoch: asEpoch(1), slots };
  }

  /** Asks the real one about the slots in an order of their own, so that it is asked once for all that are alike. */
  #transition(
    what: string,
    statuses: readonly number[],
    change: Change,
    run: (before: Membership, change: Change) => Membership,
  ): readonly number[] | undefined {
    const bare = statuses.map((status) => status & BARE_MASK);
    const order = this.#order(bare, change);
    const ordered = order.map((slot) => must(bare[slot]));
    const asked = this.#reordered(change, order);
    const { slot, joins, lastLsn, pgcl, scls, fenced } = asked;
    const key = `${what}|${ordered.join()}|${slot}|${joins}|${lastLsn}|${pgcl}|${scls.join()}|${fenced}`;
    const after = this.#transitions.get(key, () => {
      try {
        const next = run(this.#real(ordered), asked);
        assert(next.epoch === 2, 'a transition is one epoch');
        return next.slots.map((now) => this.#statusOf(now));
      } catch (error) {
        if (isCoded(error)) return undefined;
        throw error;
      }
    });
    return after && this.#restored(after, order, { statuses, promised: change.promised });
  }

  /** Slots of one kind by what is known of them. */
  #order(statuses: readonly number[], { slot, scls, fenced }: Change): number[] {
    const { nodesPerSlot } = this;
    const keys = statuses.map((status, at) => {
      const from = at * nodesPerSlot;
      const obey = (fenced >> from) & ((1 << nodesPerSlot) - 1);
      const kind = this.#kinds[at] === 'full' ? 0 : 1;
      return `${kind}|${status}|${scls.slice(from, from + nodesPerSlot).join()}|${obey}|${at === slot ? 1 : 0}`;
    });
    return [...keys.keys()].sort((a, b) => (must(keys[a]) < must(keys[b]) ? -1 : 1));
  }

  #reordered(change: Change, order: readonly number[]): Change {
    const { nodesPerSlot } = this;
    let fenced = 0;
    for (const [at, slot] of order.entries()) {
      const obey = (change.fenced >> (slot * nodesPerSlot)) & ((1 << nodesPerSlot) - 1);
      fenced |= obey << (at * nodesPerSlot);
    }
    const sclsOf = (slot: number) => change.scls.slice(slot * nodesPerSlot, (slot + 1) * nodesPerSlot);
    return { ...change, slot: order.indexOf(change.slot), scls: order.flatMap(sclsOf), fenced };
  }

  /** In the old order, and with what the oracle knows. */
  #restored(
    after: readonly number[],
    order: readonly number[],
    of: { statuses: readonly number[]; promised: number },
  ): readonly number[] {
    const restored: number[] = [];
    for (const [at, slot] of order.entries()) {
      const now = unpackStatus(must(after[at]));
      const before = unpackStatus(must(of.statuses[slot]));
      const joined = now.candidate !== 0 && now.candidate !== before.candidate;
      const promised = now.candidate === 0 ? 0 : joined ? of.promised : before.promised;
      restored[slot] = packStatus({ ...now, promised });
    }
    return restored;
  }

  #statusOf({ member, candidate }: Slot): number {
    return packStatus({
      member: this.#numberOf(member.node),
      candidate: candidate ? this.#numberOf(candidate.node) : 0,
      forced: candidate?.forced === true,
      since: candidate?.since ?? 0,
      promised: 0,
    });
  }

  #join(before: Membership, { slot, joins, lastLsn }: Change) {
    const { node: leaves, kind, zone } = must(before.slots[slot]).member;
    return { leaves, joins: { node: nodeName(slot, joins), kind, zone }, lastLsn: asLsn(lastLsn) };
  }

  #standing({ pgcl, lastLsn, scls }: Change) {
    const known = scls.flatMap((scl, index): [Member, Lsn][] =>
      scl === undefined ? [] : [[this.nameOf(index), asLsn(scl)]],
    );
    return { pgcl: asLsn(pgcl), lastLsn: asLsn(lastLsn), scls: new Map(known) };
  }

  #numberOf(name: Member): number {
    return this.indexOf(name) % this.nodesPerSlot;
  }

  #namesIn(nodes: number): NodeId[] {
    const names: NodeId[] = [];
    for (let index = 0; index < SLOTS * this.nodesPerSlot; index++)
      if (nodes & (1 << index)) names.push(this.nameOf(index));
    return names;
  }
}

function nodeName(slot: number, node: number): NodeId {
  return `${'ABCDEF'[slot]}${node}` as NodeId;
}
