/**
 * A run as text, one line for each event: time in milliseconds, who, what, and the numbers that matter. The format is
 * described in docs/simulator.md; people read it and grep it, nothing parses it.
 */
import { unreachable } from '@rokka/kernel';
import type { Membership } from '@rokka/quorum';
import type { SegmentState } from '@rokka/storage';
import type { SeenRecord, SimEvent } from './events.ts';

const TIME_WIDTH = 10;
const WHO_WIDTH = 4;

export function traceLine(atMs: number, event: SimEvent): string {
  const [who, text] = describe(event);
  return `${atMs.toFixed(2).padStart(TIME_WIDTH)} ${who.padEnd(WHO_WIDTH)} ${text}`;
}

function describe(event: SimEvent): [who: string, text: string] {
  switch (event.kind) {
    case 'registry': {
      const { volumeEpoch, groups, truncationRanges } = event.record;
      const ranges = truncationRanges.map(
        (range) => `${range.volumeEpoch}:(${range.after},${range.through}]`,
      );
      const members = groups.map(({ membership }) => describeMembership(membership)).join(' | ');
      return ['reg', `volume e${volumeEpoch} ${members || 'no groups'} ranges=${ranges.join(' ') || '-'}`];
    }
    case 'appended':
      return [event.writer, `append ${lsns(event.records)} pages=${pages(event.records)} vdl=${event.vdl}`];
    case 'opened':
      return [event.writer, `open e${event.epoch} vdl=${event.vdl}`];
    case 'memory': {
      const { writer, memory, what, epoch, vdl } = event;
      const numbers = `${epoch === undefined ? '' : ` e${epoch}`}${vdl === undefined ? '' : ` vdl=${vdl}`}`;
      return [writer, `memory of ${memory} ${what}${numbers}`];
    }
    case 'acked':
      return [event.writer, `durable ${event.lsn} e${event.epoch}`];
    case 'announced': {
      const { writer, epoch, pg, vdl, pgmrpl, logFloor } = event;
      return [writer, `points e${epoch} pg${pg} vdl=${vdl} pgmrpl=${pgmrpl} floor=${logFloor}`];
    }
    case 'delivered':
      return [event.node, `< ${event.from} pg${event.pg} ${lsns(event.records)}`];
    case 'gave':
      return [event.node, `> ${event.to} pg${event.pg} e${event.epoch} ${lsns(event.records)}`];
    case 'ack': {
      const { node, to, pg, epoch, scl, coalesced } = event;
      return [node, `ack ${to} pg${pg} e${epoch} scl=${scl} pages=${coalesced}`];
    }
    case 'state':
      return [event.node, `${event.of} ${event.to} ${segment(event.state)}`];
    case 'membership-told': {
      const { writer, node, by, pg, epoch, membershipEpoch, members } = event;
      const names = members.map((member) => member.node).join(' ');
      return [writer, `tell ${node} ${by} pg${pg} e${epoch} m${membershipEpoch} ${names}`];
    }
    case 'asked': {
      const { node, to, pg, epoch, membershipEpoch } = event;
      return [node, `ask ${to} pg${pg} e${epoch} m${membershipEpoch}`];
    }
    case 'reached':
      return [event.node, `asked by ${event.from} pg${event.pg}`];
    case 'served': {
      const { node, to, pg, epoch, membershipEpoch } = event;
      return [node, `serve ${to} pg${pg} e${epoch} m${membershipEpoch}`];
    }
    case 'gave-pages': {
      const { node, to, pg, from, next, coalesced } = event;
      return [node, `> ${to} pg${pg} pages [${from},${next}) coalesced=${coalesced}`];
    }
    case 'refused':
      return [event.node, `refuse ${event.to} ${event.code}`];
    case 'read-answer': {
      const { node, to, pg, epoch, page, readPoint, pageLsn } = event;
      return [node, `read ${to} pg${pg} e${epoch} page=${page}@${readPoint} lsn=${pageLsn}`];
    }
    case 'seen':
      return [event.writer, `see page=${event.page}@${event.applied} e${event.epoch}`];
    case 'store':
      return [event.node, `store ${event.store}`];
    case 'fate':
      return [event.who === 'schedule' ? '*' : event.who, `${event.what} ${event.why ?? ''}`.trimEnd()];
    default:
      return unreachable(event);
  }
}

/** `m3 n0 n1 n2 n3 n4>n8 n5`; a bang in place of the arrow where the old member is forced out. */
export function describeMembership({ epoch, slots }: Membership): string {
  const names = slots.map(({ member, candidate }) => {
    const arrow = candidate?.forced ? '!' : '>';
    return candidate ? `${member.node}${arrow}${candidate.node}` : member.node;
  });
  return `m${epoch} ${names.join(' ')}`;
}

function segment(state: SegmentState): string {
  const { pg, kind, volumeEpoch, scl, vdl, coalesced, logFloor, ranges, tail, damaged } = state;
  const known = ranges.map((range) => range.volumeEpoch).join(',') || '-';
  const more = `${damaged ? ' DAMAGED' : ''}${state.hydrating ? ' HYDRATING' : ''}`;
  return `pg${pg} ${kind} e${volumeEpoch} m${state.membershipEpoch} scl=${scl} vdl=${vdl} pages=${coalesced} floor=${logFloor} ranges=${known} tail=${tail.length}${more}`;
}

/** `4-7,9`; a bar follows each consistency point but the last. */
function lsns(records: readonly SeenRecord[]): string {
  const first = records[0];
  if (!first) return '-';
  let text = `${first.lsn}`;
  let end = first.lsn as number;
  for (const { lsn } of records.slice(1)) {
    if (lsn !== end + 1) text += `${text.endsWith(`${end}`) ? '' : `-${end}`},${lsn}`;
    end = lsn;
  }
  return text.endsWith(`${end}`) ? text : `${text}-${end}`;
}

function pages(records: readonly SeenRecord[]): string {
  return records.map(({ page }) => page).join(',');
}
