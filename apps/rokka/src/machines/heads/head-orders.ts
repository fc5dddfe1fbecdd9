/**
 * What the first machine and a joined one say to each other of heads that run on the latter. Either says all of it each time, again and
 * again: what was lost on the way, or with a process, needs no repair.
 *
 * - HEADS, of the machine: every head that it has, and the last orders that this comes after.
 * - ORDERS, of the desk: every head that the controller holds there, and which of those it told are nobody's any more. A head that is in
 *   neither goes on: a controller that has just begun knows little.
 */
import type { FilesDetail } from '../../processes/engine.ts';
import type { HeadProcessOptions } from '../../processes/head-process.ts';
import { decodeAnswer, REGISTER_EVERY_MS } from '../desk-messages.ts';

/** What a machine that is not heard for so long has come to is not known. */
export const AWAY_MS = 4 * REGISTER_EVERY_MS;

/** A head of a record's generation; two attempts at it differ in the nonce. */
export interface HeadRun {
  readonly name: string;
  readonly generation: number;
  readonly nonce: string;
}

export const isSameRun = (one: HeadRun | undefined, other: HeadRun | undefined): boolean =>
  one !== undefined &&
  one.name === other?.name &&
  one.generation === other.generation &&
  one.nonce === other.nonce;

/** What does not depend on the machine that it runs on. */
export type PlacedHeadOptions = Omit<
  HeadProcessOptions,
  'directory' | 'remote' | 'machine' | 'place' | 'postgres' | 'takesOver'
>;

export interface HeadOrder extends HeadRun {
  readonly options: PlacedHeadOptions;
  /** It shall be no more. */
  readonly ends?: 'in-order' | 'at-once';
}

export interface Orders {
  readonly serial: number;
  readonly orders: readonly HeadOrder[];
  /** Volumes that are placed elsewhere, or are gone: their heads have nothing to write any more. */
  readonly gone: readonly string[];
}

export interface HeadReport extends HeadRun {
  readonly ready: boolean;
  readonly restarts: number;
  readonly pid?: number;
  readonly detail?: FilesDetail;
  readonly progress?: string;
  /** Why it ended last, or does not begin. */
  readonly why?: Said;
  /** It ended, and is not started again without another order. */
  readonly final?: Said;
}

/** An error, as it goes from one machine to another. */
export interface Said {
  readonly code: string;
  readonly message: string;
}

export interface Heads {
  /** Of the last orders, on this connection. */
  readonly seen: number;
  readonly heads: readonly HeadReport[];
}

/** Of a head that is asked for something. */
export interface HeadQuestion {
  readonly name: string;
  readonly what: string;
  readonly timeoutMs: number;
  readonly argument?: unknown;
}

/** Of the cluster's own machine, which believes its desk. Undefined where it has another form. */
export function decodeOrders(body: Uint8Array): Orders | undefined {
  const said = decodeAnswer(body);
  return Array.isArray(said?.['orders']) ? (said as unknown as Orders) : undefined;
}

export function decodeQuestion(body: Uint8Array): HeadQuestion | undefined {
  const said = decodeAnswer(body);
  return typeof said?.['name'] === 'string' ? (said as unknown as HeadQuestion) : undefined;
}

const HEADS_MAX = 10_000;

/** Undefined where it has another form: it comes from another machine. */
export function decodeHeads(body: Uint8Array): Heads | undefined {
  const { seen, heads } = decodeAnswer(body) ?? {};
  if (typeof seen !== 'number' || !Array.isArray(heads) || heads.length > HEADS_MAX) return undefined;
  const reports = heads.map(reportIn);
  return reports.every((report) => report !== undefined) ? { seen, heads: reports } : undefined;
}

function reportIn(said: unknown): HeadReport | undefined {
  const { name, generation, nonce, ready, restarts, pid, detail, progress, why, final } = (said ?? {}) as {
    readonly [K in keyof HeadReport]?: unknown;
  };
  if (typeof name !== 'string' || typeof generation !== 'number' || typeof nonce !== 'string')
    return undefined;
  const files = detailIn(detail);
  const [reason, end] = [saidIn(why), saidIn(final)];
  return {
    name,
    generation,
    nonce,
    ready: ready === true && files !== undefined,
    restarts: typeof restarts === 'number' ? restarts : 0,
    ...(typeof pid === 'number' && { pid }),
    ...(files && { detail: files }),
    ...(typeof progress === 'string' && { progress }),
    ...(reason && { why: reason }),
    ...(end && { final: end }),
  };
}

function detailIn(said: unknown): FilesDetail | undefined {
  const { sizeBytes, mountPoint, canBeTakenOver } = (said ?? {}) as {
    readonly [K in keyof FilesDetail]?: unknown;
  };
  if (typeof sizeBytes !== 'number') return undefined;
  return {
    sizeBytes,
    ...(typeof mountPoint === 'string' && { mountPoint }),
    ...(typeof canBeTakenOver === 'boolean' && { canBeTakenOver }),
  };
}

const TEXT_MAX = 2_000;

function saidIn(said: unknown): Said | undefined {
  const { code, message } = (said ?? {}) as { readonly [K in keyof Said]?: unknown };
  if (typeof code !== 'string' || typeof message !== 'string') return undefined;
  return { code: code.slice(0, 64), message: message.slice(0, TEXT_MAX) };
}
