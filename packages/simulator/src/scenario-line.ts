/**
 * The lines of a scenario's trace: epochs, members, decisions, durable points, refusals, what clients see. Left out is what
 * makes them: ships, acknowledgements, gossip, times.
 */
import { unreachable } from '@rokka/kernel';
import type { SimEvent } from './events.ts';
import { describeMembership } from './trace.ts';

const TOLD = {
  create: 'asked to make a segment',
  'start over': 'asked to begin its segment anew',
  drop: 'asked to drop its segment',
};

/** Who it is about, and what of him; undefined for what is left out. */
export function scenarioLine(event: SimEvent): { who: string; what: string } | undefined {
  switch (event.kind) {
    case 'registry': {
      const { volumeEpoch, groups, truncationRanges } = event.record;
      const members = groups.map(({ membership, retired }) => {
        const gone = retired.length > 0 ? `, ${retired.join(' ')} left` : '';
        return `; ${describeMembership(membership)}${gone}`;
      });
      const last = truncationRanges.at(-1);
      const range = last ? `; e${last.volumeEpoch} annuls what is above ${last.after}` : '';
      return { who: 'registry', what: `volume e${volumeEpoch}${members.join('')}${range}` };
    }
    case 'state': {
      if (event.of !== 'fence') return undefined;
      const { volumeEpoch, membershipEpoch, scl, damaged, hydrating, ranges } = event.state;
      const what = damaged ? 'damaged' : hydrating ? 'hydrating' : `complete up to ${scl}`;
      const known = ranges.at(-1);
      const range = known ? `, knows the range of e${known.volumeEpoch}` : '';
      const epochs = `e${volumeEpoch} m${membershipEpoch}`;
      return { who: event.node, what: `fenced by ${event.to} at ${epochs}, ${what}${range}` };
    }
    case 'opened':
      return { who: event.writer, what: `serving at e${event.epoch} from ${event.vdl} on` };
    case 'appended':
      return { who: event.writer, what: `writing ${event.records.map(({ lsn }) => lsn).join(' ')}` };
    case 'acked':
      return { who: event.writer, what: `telling its client: durable up to ${event.lsn}` };
    case 'refused':
      // What nodes refuse each other is gossip that tries again.
      if (/^n\d+$/.test(event.to)) return undefined;
      return { who: event.node, what: `refusing ${event.to}, ${event.code}` };
    case 'seen':
      return { who: event.writer, what: `page ${event.page} in its cache is ${quoted(event.content)}` };
    case 'read-answer': {
      const { node, to, page, readPoint, content } = event;
      return { who: node, what: `giving ${to} page ${page} as of ${readPoint}, ${quoted(content)}` };
    }
    case 'gave-pages':
      return { who: event.node, what: `giving ${event.to} pages ${event.from} to ${event.next - 1}` };
    case 'membership-told':
      if (event.by === 'fence') return undefined;
      return {
        who: event.node,
        what: TOLD[event.by],
      };
    case 'fate':
      if (event.who === 'schedule') return undefined;
      return { who: event.who, what: `${event.what} ${event.why ?? ''}`.trimEnd() };
    case 'ack':
    case 'announced':
    case 'memory':
    case 'asked':
    case 'delivered':
    case 'gave':
    case 'reached':
    case 'served':
    case 'store':
      return undefined;
    default:
      return unreachable(event);
  }
}

function quoted(content: Uint8Array): string {
  const end = content.indexOf(0);
  return `"${Buffer.from(content.subarray(0, end < 0 ? content.length : end)).toString()}"`;
}
