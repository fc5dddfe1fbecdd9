/**
 * Splits SQL text into tokens by PostgreSQL's lexical rules (its scan.l), just finely enough to tell statements, words,
 * strings and quoted names apart. Input is the query's bytes as latin1, so that every byte >= 0x80 is one identifier
 * character, as in PostgreSQL itself.
 *
 * Assumes standard_conforming_strings = on (the default since 9.1): the statement rules refuse to have it turned off,
 * since a string that ends elsewhere would hide a statement from us.
 */

export type TokenKind = 'word' | 'name' | 'string' | 'symbol';

export interface SqlToken {
  readonly kind: TokenKind;
  /** A word in lower case; a quoted name or a string as its value; a symbol as it stands. */
  readonly text: string;
}

const SPACE = /[ \t\n\r\f\v]+/y;
const WORD = /[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*/y;
const NUMBER = /[0-9][0-9A-Za-z_.]*/y;
const DOLLAR_TAG = /\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$/y;
const PARAMETER = /\$[0-9]+/y;

/** The tokens of `sql`. Text that PostgreSQL would reject gives some tokens too: rejecting it is PostgreSQL's part. */
export function* sqlTokens(sql: string): Generator<SqlToken> {
  let at = 0;
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(sql)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  while (at < sql.length) {
    if (match(SPACE) !== undefined) continue;
    const char = sql[at];
    const next = sql[at + 1];
    if (char === '-' && next === '-') at = lineEnd(sql, at);
    else if (char === '/' && next === '*') at = commentEnd(sql, at);
    else if (char === "'" || char === '"') {
      const end = quotedEnd(sql, at, char, false);
      yield { kind: char === "'" ? 'string' : 'name', text: unquoted(sql, at, end, char) };
      at = end;
    } else if ((char === 'e' || char === 'E') && next === "'") {
      const end = quotedEnd(sql, at + 1, "'", true);
      yield { kind: 'string', text: unquoted(sql, at + 1, end, "'") };
      at = end;
    } else if (char === '$') {
      const tag = match(DOLLAR_TAG);
      if (tag !== undefined) {
        const close = sql.indexOf(tag, at);
        const end = close < 0 ? sql.length : close;
        yield { kind: 'string', text: sql.slice(at, end) };
        at = Math.min(sql.length, end + tag.length);
      } else yield { kind: 'symbol', text: match(PARAMETER) ?? sql[at++] };
    } else {
      const word = match(WORD);
      if (word !== undefined) yield { kind: 'word', text: word.toLowerCase() };
      else yield { kind: 'symbol', text: match(NUMBER) ?? sql[at++] };
    }
  }
}

/** The statements of `sql`, each as its tokens without the semicolon; empty ones are left out. */
export function sqlStatements(sql: string): SqlToken[][] {
  const statements: SqlToken[][] = [];
  let statement: SqlToken[] = [];
  for (const token of sqlTokens(sql)) {
    if (token.kind !== 'symbol' || token.text !== ';') statement.push(token);
    else if (statement.length > 0) {
      statements.push(statement);
      statement = [];
    }
  }
  if (statement.length > 0) statements.push(statement);
  return statements;
}

function lineEnd(sql: string, from: number): number {
  for (let at = from; at < sql.length; at++) if (sql[at] === '\n' || sql[at] === '\r') return at;
  return sql.length;
}

/** Comments nest. */
function commentEnd(sql: string, from: number): number {
  let depth = 0;
  for (let at = from; at < sql.length; at++) {
    const pair = sql.slice(at, at + 2);
    if (pair === '/*') depth++;
    else if (pair === '*/') depth--;
    else continue;
    at++;
    if (depth === 0) return at + 1;
  }
  return sql.length;
}

/** Just past the closing quote of the quoted text that opens at `from`. A doubled quote does not close it. */
function quotedEnd(sql: string, from: number, quote: string, backslashes: boolean): number {
  if (!backslashes) return plainQuotedEnd(sql, from, quote);
  for (let at = from + 1; at < sql.length; at++) {
    if (sql[at] === '\\') at++;
    else if (sql[at] === quote) {
      if (sql[at + 1] !== quote) return at + 1;
      at++;
    }
  }
  return sql.length;
}

/** The same without backslashes, for values of megabytes. */
function plainQuotedEnd(sql: string, from: number, quote: string): number {
  for (let at = sql.indexOf(quote, from + 1); at >= 0; at = sql.indexOf(quote, at + 2))
    if (sql[at + 1] !== quote) return at + 1;
  return sql.length;
}

function unquoted(sql: string, from: number, end: number, quote: string): string {
  const closed = end > from + 1 && sql[end - 1] === quote;
  return sql.slice(from + 1, closed ? end - 1 : end).replaceAll(quote + quote, quote);
}
