/**
 * What the embedded engine refuses, and with which words. A refused statement is replaced by text that cannot be parsed
 * and that names the refusal; so the backend itself fails at the right moment (skips to Sync, aborts an open transaction),
 * and its syntax error is turned into the error below on the way to the client.
 */
import { errorFields, errorMessage, type WireError } from './wire-messages.ts';
import type { Refusal } from './statement-traits.ts';

const NATIVE_HINT = 'Create the database with the native engine (--engine native) where this is needed.';

const TEXTS: Record<Refusal, { message: string; hint: string }> = {
  listen: {
    message: 'LISTEN is not available: all sessions share one backend',
    hint: `Poll a table instead. ${NATIVE_HINT}`,
  },
  database: {
    message: 'CREATE DATABASE is not available: the embedded engine serves one database',
    hint: 'Use a schema, or create another database with rokka.',
  },
  tablespace: {
    message: 'CREATE TABLESPACE is not available: everything lies on the one volume',
    hint: 'Leave the tablespace out.',
  },
  server_file: {
    message:
      'COPY with a file or a program is not available: the engine runs in a sandbox without durable files',
    hint: "Use COPY ... FROM STDIN or TO STDOUT, or psql's \\copy.",
  },
  sequence_state: {
    message: 'currval and lastval are not available: another session may have moved the sequence state',
    hint: 'Use INSERT ... RETURNING, or nextval and keep its result.',
  },
  lock_in_function: {
    message: 'a function must not take session-level advisory locks: all sessions share one backend',
    hint: 'Use pg_advisory_xact_lock.',
  },
  settings_in_function: {
    message: 'a function must not set a setting whose name it makes up: all sessions share one backend',
    hint: 'Call set_config with is_local = true, or write the name out.',
  },
  temporary_in_function: {
    message: 'a function must not leave temporary tables behind: all sessions share one backend',
    hint: 'Add ON COMMIT DROP.',
  },
  strings: {
    message: 'standard_conforming_strings cannot be turned off',
    hint: "Write E'...' where a string needs backslash escapes.",
  },
  statement_count: {
    message: 'too many prepared statements in this session',
    hint: 'Close or DEALLOCATE those that are no longer used.',
  },
};

const MARKER = /"rokka refuses: ([a-z_]+)"/;

/** Text that stands in for a refused statement. */
export function refusedSql(refusal: Refusal): string {
  return `"rokka refuses: ${refusal}"`;
}

export function refusalError(refusal: Refusal): WireError {
  return { severity: 'ERROR', sqlState: '0A000', ...TEXTS[refusal] };
}

/** The error to show instead of the syntax error over `refusedSql`, or undefined where `error` is none. */
export function refusalBehind(error: Buffer): Buffer | undefined {
  const fields = errorFields(error);
  if (fields.get('C') !== '42601') return undefined;
  const refusal = MARKER.exec(fields.get('M') ?? '')?.[1];
  return refusal === undefined || !(refusal in TEXTS)
    ? undefined
    : errorMessage(refusalError(refusal as Refusal));
}
