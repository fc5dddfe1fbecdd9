import { defineErrors } from '@rokka/kernel';

/** What the world can do to the protocol. None of these is safe to ignore: whoever meets one stops that group's work. */
export const quorumErrors = defineErrors({
  QUORUM_TOO_MANY_MEMBERS: (count: number, max: number) =>
    `${count} members in one set of quorum formulas, at most ${max} can be checked: finish a membership change first`,
  QUORUM_NO_OVERLAP: (what: string, first: string, second: string) =>
    `${what}: ${first} and ${second} would both be enough, and share no member: choose formulas that overlap`,
  QUORUM_BAD_GROUP: (full: number, tail: number) =>
    `a protection group of ${full} full and ${tail} tail members; it takes 3 and 3, or 6 and 0`,
  QUORUM_RANGE_CONFLICT: (epoch: number, first: string, second: string) =>
    `volume epoch ${epoch} has two truncation ranges, ${first} and ${second}: two recoveries ran under one epoch`,
  QUORUM_RANGE_BELOW_DURABLE: (after: number, through: number, durable: number) =>
    `truncation (${after}, ${through}] would annul LSN ${durable}, which was durable: it is of another volume, or copies were lost`,
  QUORUM_IMPOSSIBLE_SCL: (pg: number, member: string, scl: number, last: number) =>
    `member ${member} of protection group ${pg} claims to be complete to LSN ${scl}, the last there is ${last}: rebuild it`,
  QUORUM_SUPERSEDED: (pg: number, member: string, found: number, own: number) =>
    `member ${member} of protection group ${pg} is at volume epoch ${found}, above ${own}: another writer opened the volume`,
  QUORUM_UNFENCED: (pg: number, member: string, found: number, own: number) =>
    `member ${member} of protection group ${pg} answered at volume epoch ${found}, below ${own}: fence it, then ask again`,
  QUORUM_SPLIT_HISTORY: (pg: number, lsn: number, first: string, second: string) =>
    `protection group ${pg} has two histories at LSN ${lsn}, on ${first} and on ${second}: one of them must be rebuilt`,
  QUORUM_BAD_TAIL: (member: string, lsn: number, annulled: number) =>
    `member ${member} lists LSN ${lsn} after ${annulled}, which was annulled, so its tail is no chain: rebuild it`,
  QUORUM_NOT_A_MEMBER: (node: string) =>
    `${node} is no member of the protection group: rokka status names its members`,
  QUORUM_ALREADY_MEMBER: (node: string) =>
    `${node} takes part in the protection group already: name a node that does not`,
  QUORUM_WRONG_PLACE: (
    joins: string,
    kind: string,
    zone: string,
    leaves: string,
    ownKind: string,
    ownZone: string,
  ) =>
    `${joins} (${kind}, zone ${zone}) can't replace ${leaves} (${ownKind}, zone ${ownZone}): the loss of one zone would be too much; take a node of zone ${ownZone}`,
  QUORUM_CHANGE_RUNS: (leaves: string, joins: string) =>
    `${leaves} is being replaced by ${joins} already: wait for the end of that, or take it back`,
  QUORUM_TOO_MANY_CHANGES: (leaves: string, max: number) =>
    `${leaves} can't be replaced now: ${max} replacements run in its protection group; wait for the end of one`,
  QUORUM_NO_CHANGE: (joins: string) => `no replacement by ${joins} runs in the protection group`,
  QUORUM_NOT_SETTLED: (node: string, point: number, needed: number) =>
    `the group without the other one would be complete to LSN ${point}, ${needed} is needed: wait until ${node} has caught up`,
  QUORUM_FORCED: (joins: string) =>
    `the replacement by ${joins} was forced after a write quorum was lost, and can't be taken back: the old member missed writes`,
  QUORUM_NOT_FENCED: (leaves: string, fenced: string) =>
    `${leaves} can't be forced out or given up: the members that obey this recovery (${fenced}) are no read quorum`,
  QUORUM_LOST_WRITES: (pg: number, member: string, told: number, vdl: number) =>
    `member ${member} of protection group ${pg} knows LSN ${told} as durable, recovery found only ${vdl}: more copies were lost than the quorum allows`,
});
