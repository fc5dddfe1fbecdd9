/**
 * What a statement needs of its session, since all sessions share one backend.
 *
 * A session's state in a real server falls into four kinds here:
 * - Ended with the transaction (SET LOCAL, set_config that is local, transaction-level advisory locks, cursors, temporary tables ON COMMIT DROP,
 *   settings of a function): nothing to do, since a session owns the backend for the length of a transaction.
 * - Copied on every change of turn (SET, RESET, set_config, SET ROLE, protocol-level prepared statements): `settings`.
 * - Not copyable, but right as long as nobody else gets a turn (temporary tables, session-level advisory locks,
 *   SQL-level PREPARE, WITH HOLD cursors, setseed): `pins`. The session keeps the backend until it disconnects or runs
 *   DISCARD ALL; others wait.
 * - Impossible or not durable with one backend in a sandbox (LISTEN, CREATE DATABASE, tablespaces, server-side files and
 *   programs, sequence state without a pin): `refuses`, error 0A000.
 *
 * Bodies of functions are looked at when the function is made, and when the engine starts: what they would leave behind in the session is
 * refused there. Settings are not: where a function sets some, nobody knows what calls it, so they are read back after every batch. SQL
 * that a function puts together at run time is beyond this.
 */
import { sqlStatements, type SqlToken } from './sql-tokens.ts';

/** Why a statement is refused: key of the texts in refusals.ts. */
export type Refusal =
  | 'listen'
  | 'database'
  | 'tablespace'
  | 'server_file'
  | 'sequence_state'
  | 'lock_in_function'
  | 'temporary_in_function'
  | 'settings_in_function'
  | 'strings'
  | 'statement_count';

export interface StatementTraits {
  /** Changes settings of the session: they must be read back when its turn ends. */
  readonly settings: boolean;
  /** Names of the settings among them that pg_settings does not show. */
  readonly customSettings: readonly string[];
  /** Leaves state in the backend that only this session may see. Names the feature. */
  readonly pins?: string;
  readonly refuses?: Refusal;
  /** Reads currval or lastval: right only while pinned. */
  readonly sequenceState: boolean;
  /** The single statement is DEALLOCATE of this name. */
  readonly deallocates?: string;
  /** Makes a function that leaves settings behind in the session of whoever calls it. */
  readonly makesSetter?: boolean;
  /** One statement, as far as can be seen from outside, that leaves no transaction open which was not: or one that ends what is open. */
  readonly course?: 'plain' | 'ends';
}

/** Of a statement of which nothing is known. */
export const NO_TRAITS: StatementTraits = {
  settings: false,
  customSettings: [],
  sequenceState: false,
};
const PLAIN_TRAITS: StatementTraits = { ...NO_TRAITS, course: 'plain' };
const ENDS_TRAITS: StatementTraits = { ...NO_TRAITS, course: 'ends' };
const PLAIN = /^\s*(?:select|insert|update|delete|merge|values|with|table)\b[^;]*;?\s*$/i;
const ENDS = /^\s*(?:commit|end|rollback|abort)(?:\s+(?:work|transaction))?\s*;?\s*$/i;

/** Nothing of the below can hold for a text without one of these words. */
const INTERESTING =
  /\b(?:listen|prepare|deallocate|declare|temp|temporary|pg_temp\w*|\w*advisory\w*|set|reset|set_config|setseed|discard|currval|lastval|copy|tablespace|database|do|function|procedure)\b/i;
const SESSION_LOCKS = new Set([
  'pg_advisory_lock',
  'pg_advisory_lock_shared',
  'pg_try_advisory_lock',
  'pg_try_advisory_lock_shared',
]);
const BODY_DEPTH_MAX = 4;
const COMPUTED_NAME = 'set_config with a computed name';

type Mutable = { -readonly [K in keyof StatementTraits]: StatementTraits[K] };

/** The traits of a query's text, all its statements taken together. */
export function traitsOf(sql: string): StatementTraits {
  if (!INTERESTING.test(sql))
    return PLAIN.test(sql) ? PLAIN_TRAITS : ENDS.test(sql) ? ENDS_TRAITS : NO_TRAITS;
  const statements = sqlStatements(sql);
  const traits: Mutable = { ...NO_TRAITS };
  for (const tokens of statements) addStatement(tokens, traits, 0);
  const [only] = statements;
  if (statements.length === 1 && is(only, 0, 'deallocate')) {
    const name = only[is(only, 1, 'prepare') ? 2 : 1];
    if (name && !(name.kind === 'word' && name.text === 'all')) traits.deallocates = name.text;
  }
  // A body that is no string constant is among the statements.
  if (traits.settings && statements.some(makesFunction)) traits.makesSetter = true;
  return traits;
}

/** What the body of a function leaves behind, all its statements taken together. */
export function bodyTraits(source: string): StatementTraits {
  return traitsOfBody(source, 0);
}

function traitsOfBody(source: string, depth: number): Mutable {
  const body: Mutable = { ...NO_TRAITS };
  // The words of procedural languages around a statement (begin, then, loop) would hide its first word.
  for (const statement of sqlStatements(source))
    for (let from = 0; from < statement.length; from++)
      if (from === 0 || startsBlock(statement[from - 1]))
        addStatement(statement.slice(from), body, depth + 1);
  return body;
}

function addStatement(tokens: readonly SqlToken[], traits: Mutable, depth: number): void {
  addByFirstWord(tokens, traits);
  for (const [index, token] of tokens.entries()) {
    if (token.kind !== 'word' && token.kind !== 'name') continue;
    if (token.text === 'set_config') addSetConfig(tokens, index, traits);
    else if (token.text === 'setseed') traits.pins ??= 'setseed';
    else if (token.text === 'currval' || token.text === 'lastval') traits.sequenceState = true;
    else if (SESSION_LOCKS.has(token.text)) traits.pins ??= 'session-level advisory locks';
    else if (/^pg_temp(?:_\d+)?$/.test(token.text)) traits.pins ??= 'temporary objects';
    // In a function's body INTO names a variable, which may well be called temp.
    else if (depth === 0 && intoTemporary(tokens, index)) traits.pins ??= 'temporary tables';
  }
  if (depth < BODY_DEPTH_MAX) addBodies(tokens, traits, depth);
}

function addByFirstWord(tokens: readonly SqlToken[], traits: Mutable): void {
  const second = tokens[1]?.text;
  switch (tokens[0].kind === 'word' ? tokens[0].text : '') {
    case 'listen':
      traits.refuses ??= 'listen';
      break;
    case 'set':
    case 'reset':
      addSetting(tokens, traits);
      break;
    case 'discard':
      traits.settings = true;
      break;
    case 'prepare':
      if (second !== 'transaction') traits.pins ??= 'PREPARE';
      break;
    case 'declare':
      if (hasPair(tokens, 'with', 'hold')) traits.pins ??= 'cursors WITH HOLD';
      break;
    case 'copy':
      if (!copiesOverTheWire(tokens)) traits.refuses ??= 'server_file';
      break;
    case 'create':
      addCreate(tokens, traits);
      break;
  }
}

function addSetting(tokens: readonly SqlToken[], traits: Mutable): void {
  const at = is(tokens, 1, 'session') || is(tokens, 1, 'local') ? 2 : 1;
  const name = tokens[at];
  if (name && tokens[at + 1]?.text === '.') addCustom(`${name.text}.${tokens[at + 2]?.text ?? ''}`, traits);
  if (name?.text === 'standard_conforming_strings' && tokens.some((token) => isOff(token)))
    traits.refuses ??= 'strings';
  if (name?.text === 'seed') traits.pins ??= 'setseed';
  if (is(tokens, 1, 'local') || name?.text === 'transaction' || name?.text === 'constraints') return;
  traits.settings = true;
}

/** set_config(name, value, is_local) at `index`. A name that is not written out cannot be followed. */
function addSetConfig(tokens: readonly SqlToken[], index: number, traits: Mutable): void {
  const name = tokens[index + 2];
  if (name?.text === 'standard_conforming_strings') traits.refuses ??= 'strings';
  if (isLocalConfig(tokens, index)) return;
  traits.settings = true;
  if (name?.kind === 'string') addCustom(name.text.toLowerCase(), traits);
  else traits.pins ??= COMPUTED_NAME;
}

/** Whether the third argument is written out as true. */
function isLocalConfig(tokens: readonly SqlToken[], index: number): boolean {
  let depth = 0;
  const third: SqlToken[] = [];
  let argument = 1;
  for (const token of tokens.slice(index + 1)) {
    const { text, kind } = token;
    if (kind === 'symbol' && text === '(') depth++;
    else if (kind === 'symbol' && text === ')' && --depth === 0) break;
    else if (kind === 'symbol' && text === ',' && depth === 1) argument++;
    else if (argument === 3) third.push(token);
  }
  return argument === 3 && third.length === 1 && third[0].text.toLowerCase() === 'true';
}

/** Settings of no module have a dot in their name, and pg_settings does not show them. */
function addCustom(name: string, traits: Mutable): void {
  if (name.includes('.')) traits.customSettings = [...traits.customSettings, name];
}

function addCreate(tokens: readonly SqlToken[], traits: Mutable): void {
  if (is(tokens, 1, 'database')) traits.refuses ??= 'database';
  if (is(tokens, 1, 'tablespace')) traits.refuses ??= 'tablespace';
  let at = 1;
  if (is(tokens, at, 'or')) at += 2;
  if (isTemporary(tokens, at) && !hasPair(tokens, 'commit', 'drop')) traits.pins ??= 'temporary tables';
}

/** Code in string constants: what DO runs now, and what a function would leave behind later. */
function addBodies(tokens: readonly SqlToken[], traits: Mutable, depth: number): void {
  const runsNow = is(tokens, 0, 'do');
  if (!runsNow && !makesFunction(tokens)) return;
  for (const token of tokens) {
    if (token.kind !== 'string' || !INTERESTING.test(token.text)) continue;
    const body = traitsOfBody(token.text, depth);
    if (runsNow) Object.assign(traits, merged(traits, body));
    else if (body.pins?.includes('lock')) traits.refuses ??= 'lock_in_function';
    else if (body.pins?.startsWith('temporary')) traits.refuses ??= 'temporary_in_function';
    else if (body.pins === COMPUTED_NAME) traits.refuses ??= 'settings_in_function';
    else if (body.refuses) traits.refuses ??= body.refuses;
    else if (body.settings || body.makesSetter) {
      traits.makesSetter = true;
      traits.customSettings = [...traits.customSettings, ...body.customSettings];
    }
  }
}

function makesFunction(tokens: readonly SqlToken[]): boolean {
  const isOne = ({ text }: SqlToken) => text === 'function' || text === 'procedure';
  return is(tokens, 0, 'create') && tokens.slice(0, 4).some(isOne);
}

function merged(outer: Mutable, inner: Mutable): Partial<Mutable> {
  const pins = outer.pins ?? inner.pins;
  const refuses = outer.refuses ?? inner.refuses;
  return {
    settings: outer.settings || inner.settings,
    customSettings: [...outer.customSettings, ...inner.customSettings],
    sequenceState: outer.sequenceState || inner.sequenceState,
    ...((outer.makesSetter || inner.makesSetter) && { makesSetter: true }),
    ...(pins === undefined ? {} : { pins }),
    ...(refuses === undefined ? {} : { refuses }),
  };
}

function copiesOverTheWire(tokens: readonly SqlToken[]): boolean {
  let depth = 0;
  for (const [index, token] of tokens.entries()) {
    if (token.kind === 'symbol' && token.text === '(') depth++;
    else if (token.kind === 'symbol' && token.text === ')') depth--;
    else if (depth === 0 && index > 1 && (is(tokens, index, 'from') || is(tokens, index, 'to'))) {
      const target = tokens[index + 1];
      return target?.kind === 'word' && (target.text === 'stdin' || target.text === 'stdout');
    }
  }
  return true;
}

function startsBlock(token: SqlToken): boolean {
  return token.kind === 'word' && ['begin', 'then', 'else', 'loop', 'declare'].includes(token.text);
}

function is(tokens: readonly SqlToken[], index: number, word: string): boolean {
  const token = tokens[index];
  return token?.kind === 'word' && token.text === word;
}

function isTemporary(tokens: readonly SqlToken[], index: number): boolean {
  const at = is(tokens, index, 'local') || is(tokens, index, 'global') ? index + 1 : index;
  return is(tokens, at, 'temp') || is(tokens, at, 'temporary');
}

/** SELECT ... INTO TEMP t, but not INSERT INTO temp, where it is a table's name. */
function intoTemporary(tokens: readonly SqlToken[], index: number): boolean {
  const inserts = is(tokens, index - 1, 'insert') || is(tokens, index - 1, 'merge');
  return is(tokens, index, 'into') && !inserts && isTemporary(tokens, index + 1);
}

function hasPair(tokens: readonly SqlToken[], first: string, second: string): boolean {
  return tokens.some((_token, index) => is(tokens, index, first) && is(tokens, index + 1, second));
}

function isOff({ text }: SqlToken): boolean {
  return ['off', 'false', 'no', '0'].includes(text.toLowerCase());
}
