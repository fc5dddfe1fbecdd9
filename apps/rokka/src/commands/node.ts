/** `rokka node …`: the cluster's storage nodes, and what is done with them. Asks the running supervisor. */
import type { Arguments } from '../arguments.ts';
import { askControl, CONTROL } from '../control.ts';
import { rokkaErrors } from '../errors.ts';
import { describeNodes } from '../status.ts';
import type { JoinedStatus, SupervisorStatus } from '../status.ts';
import { Terminal } from '../terminal.ts';

export const NODE_ACTIONS = ['list', 'add', 'drain', 'keep', 'replace', 'remove', 'spares'] as const;
export type NodeAction = (typeof NODE_ACTIONS)[number];

export interface NodeRequest {
  readonly action: Exclude<NodeAction, 'list'>;
  /** Which node; absent for `add` and `spares`. */
  readonly ordinal?: number;
  /** For `add`. */
  readonly zone?: string;
  /** For `spares`: how many each zone is to have. */
  readonly perZone?: number;
}

/** Each costs the memory of a node. */
const SPARES_MAX = 9;

export async function node(args: Arguments): Promise<number> {
  if (args.join !== undefined) {
    const { join } = await import('./join.ts');
    return join({ ...args, words: [args.join, ...args.words] });
  }
  const terminal = new Terminal();
  const [word = 'list', ...rest] = args.words;
  const action = NODE_ACTIONS.find((one) => one === word);
  if (!action)
    throw rokkaErrors.ROKKA_BAD_FLAG([`rokka node ${word}: it is one of ${NODE_ACTIONS.join(', ')}`]);
  if (action === 'list') {
    if (rest.length > 0) throw rokkaErrors.ROKKA_BAD_FLAG([`rokka node list takes no ${rest.join(' ')}`]);
    const status = await askControl<SupervisorStatus | JoinedStatus>(args.dataDirectory, CONTROL.STATUS);
    if ('joined' in status) {
      const what = 'a machine that joined';
      const use = 'rokka status shows its own node, the machine that made the cluster lists all';
      throw rokkaErrors.ROKKA_WRONG_DIRECTORY([args.dataDirectory, what, use]);
    }
    terminal.line(args.json ? JSON.stringify(status.nodes) : describeNodes(status));
    return 0;
  }
  const { said } = await askControl<{ said: string }>(
    args.dataDirectory,
    CONTROL.NODE,
    requestOf(action, rest, args),
  );
  terminal.line(said);
  return 0;
}

function requestOf(action: NodeRequest['action'], rest: readonly string[], args: Arguments): NodeRequest {
  if (action === 'add') {
    if (rest.length > 0 || args.zone === undefined)
      throw rokkaErrors.ROKKA_BAD_FLAG(['rokka node add --zone ZONE']);
    return { action, zone: args.zone };
  }
  if (action === 'spares') {
    if (rest.length !== 1 || !/^\d$/.test(rest[0] ?? ''))
      throw rokkaErrors.ROKKA_BAD_FLAG([
        `rokka node spares N, how many each zone is to have: 0 to ${SPARES_MAX}`,
      ]);
    return { action, perZone: Number(rest[0]) };
  }
  const ordinal = Number(rest[0]);
  if (rest.length !== 1 || !Number.isSafeInteger(ordinal) || ordinal < 1)
    throw rokkaErrors.ROKKA_BAD_FLAG([`rokka node ${action} N, the number of a node`]);
  return { action, ordinal };
}
