/** What clients are told when a turn does not come, or does not end well. */
import { isCoded, type CodedError } from '@rokka/kernel';
import type { WireError } from './wire-messages.ts';
import type { WireSession } from './wire-session.ts';

export function cancelledError(): WireError {
  return { severity: 'ERROR', sqlState: '57014', message: 'canceling statement due to user request' };
}

/** The backend's state of the session went with the engine's life. */
export function lostError(): WireError {
  return {
    severity: 'FATAL',
    sqlState: '57P01',
    message: 'terminating connection because the embedded engine was restarted',
    detail: 'What was acknowledged is kept. A COMMIT that was not answered may have happened or not.',
  };
}

/** There is no engine any more. */
export function endedError(reason: CodedError): WireError {
  return { severity: 'FATAL', sqlState: '57P03', message: `${reason.code}: ${reason.message}` };
}

/** `killed` says why the engine was ended on purpose under this very statement. */
export function failedTurnError(error: unknown, killed: string | undefined): WireError {
  if (isCoded(error, 'DATABASE_SQL_FAILED')) {
    const { sqlState, message } = error.detail as { sqlState: string; message: string };
    return { severity: 'FATAL', sqlState, message: `restoring the session's settings: ${message}` };
  }
  if (isCoded(error) && error.code !== 'DATABASE_ENGINE_LOST') return endedError(error);
  if (killed === undefined) return lostError();
  return {
    severity: 'FATAL',
    sqlState: '57014',
    message: killed,
    detail: 'The statement did not stop by itself, so the engine was restarted under it.',
  };
}

export function idleError({ atRest, pin }: WireSession): WireError {
  if (!atRest || pin === undefined)
    return {
      severity: 'FATAL',
      sqlState: '25P03',
      message: 'terminating connection due to idle-in-transaction timeout',
      hint: 'All sessions share one backend: an open transaction stops the others.',
    };
  return {
    severity: 'FATAL',
    sqlState: '57P05',
    message: `terminating connection: it used ${pin}, for which it has the backend alone, and was idle`,
    hint: 'Run DISCARD ALL as soon as they are no longer needed.',
  };
}

/** The batch waited too long for `holder`, or for an engine that does not come up. */
export function waitedError(holder: WireSession | undefined): WireError {
  const why = holder ? `Session ${holder.id} has it for ${holder.pin ?? 'an open transaction'}.` : undefined;
  return {
    severity: 'ERROR',
    sqlState: '55P03',
    message: 'canceling statement: the backend did not become free',
    ...(why === undefined ? {} : { detail: why }),
  };
}
