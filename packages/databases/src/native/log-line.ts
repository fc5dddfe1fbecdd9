/**
 * PostgreSQL's own log, as it comes on standard error: one LogLine for each line, with what our log_line_prefix says about
 * it. Lines that PostgreSQL did not write in that form (the loader's, or from before it read its settings) come through too.
 */
const LEVELS = {
  DEBUG: 'debug',
  LOG: 'log',
  INFO: 'log',
  NOTICE: 'log',
  WARNING: 'warning',
  ERROR: 'error',
  FATAL: 'fatal',
  PANIC: 'panic',
  DETAIL: 'detail',
  HINT: 'detail',
  QUERY: 'detail',
  CONTEXT: 'detail',
  LOCATION: 'detail',
  BACKTRACE: 'detail',
  STATEMENT: 'detail',
} as const;

export type LogLevel = (typeof LEVELS)[keyof typeof LEVELS];

export interface LogLine {
  /** `detail` lines belong to the message before them. */
  readonly level: LogLevel;
  readonly message: string;
  /** PostgreSQL's wall clock, milliseconds since 1970. */
  readonly wallMs?: number;
  /** Process id inside of the server's own process namespace; 1 is the postmaster. */
  readonly processId?: number;
  readonly sqlState?: string;
  /** `user@database`, empty for processes that serve no client. */
  readonly session?: string;
}

/** %n Unix time, %p process, %e SQLSTATE, %u@%d session. */
export const LOG_LINE_PREFIX = '%n|%p|%e|%q%u@%d|';

const KINDS = Object.keys(LEVELS).join('|');
const OWN = /^(\d+\.\d+)\|(\d+)\|(\w{5})\|(.*)$/s;
const LEVEL = new RegExp(`^(.*?)(${KINDS})\\d?:  (.*)$`, 's');

export function parseLogLine(line: string): LogLine {
  const own = OWN.exec(line);
  const level = LEVEL.exec(own?.[4] ?? line);
  if (!level) return { level: line.startsWith('\t') ? 'detail' : 'log', message: line.trim() };
  const [, before = '', kind = 'LOG', message = ''] = level;
  const parsed = { level: LEVELS[kind as keyof typeof LEVELS], message: message.trim() };
  if (!own) return parsed;
  return {
    ...parsed,
    wallMs: Math.round(Number(own[1]) * 1000),
    processId: Number(own[2]),
    sqlState: own[3] ?? '',
    session: before.replace(/\|$/, ''),
  };
}
