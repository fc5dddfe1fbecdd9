/**
 * Patterns as policies write them: `*` and `?`, and `${aws:username}` where a value of the request is put in. What is put
 * in is always literal: a user named `*` matches nobody else.
 *
 * Matching takes time proportional to pattern times text whatever they hold; a regular expression made from somebody's
 * policy would not.
 */
import { ANY, type Element, globMatches, ONE } from '../../glob.ts';

/** `*` in the middle of one of an ARN's first five segments: it stays between its colons. */
const ANY_BUT_COLON = -2;
const COLON = 58;

type Part = { kind: 'elements'; elements: Element[] } | { kind: 'variable'; name: string; fallback?: string };

/** The value of a context key, where it has exactly one. */
export type Variables = (name: string) => string | undefined;

export interface PatternOptions {
  /** Whether `${…}` is replaced: from version 2012-10-17 on. */
  variables: boolean;
  /** Whether `*` and `?` are wildcards; where not, they stand for themselves. */
  wildcards: boolean;
  /** Whether `*` inside a segment of an ARN stays in it. */
  arn?: boolean;
  ignoreCase?: boolean;
}

export class Pattern {
  readonly text: string;
  readonly #parts: readonly Part[];
  readonly #ignoreCase: boolean;
  /** Undefined where a variable must be put in first. */
  readonly #fixed: readonly Element[] | undefined;
  /** What most patterns are: a text, or a text and `*` at its end. */
  readonly #prefix: string | undefined;
  readonly #open: boolean;
  /** What every text begins with that it matches: most are told apart by that. */
  readonly #lead: string;
  readonly #bounded: boolean;

  constructor(text: string, options: PatternOptions) {
    this.text = text;
    this.#ignoreCase = options.ignoreCase ?? false;
    this.#parts = partsOf(this.#ignoreCase ? text.toLowerCase() : text, options);
    this.#fixed = this.#parts.some((part) => part.kind === 'variable') ? undefined : join(this.#parts);
    this.#open = this.#fixed?.at(-1) === ANY;
    const literal = this.#open ? this.#fixed?.slice(0, -1) : this.#fixed;
    this.#prefix = literal?.every((element) => element >= 0) ? String.fromCharCode(...literal) : undefined;
    this.#lead = leadOf(this.#parts);
    this.#bounded = join(this.#parts).includes(ANY_BUT_COLON);
  }

  /** Whether a variable must be put in that has no value, so that the pattern matches nothing. */
  lacks(variables: Variables): boolean {
    return this.#elements(variables) === undefined;
  }

  matches(text: string, variables: Variables): boolean {
    const found = this.#ignoreCase ? text.toLowerCase() : text;
    if (this.#prefix !== undefined)
      return this.#open ? found.startsWith(this.#prefix) : found === this.#prefix;
    if (!found.startsWith(this.#lead)) return false;
    const elements = this.#elements(variables);
    if (elements === undefined) return false;
    return this.#bounded ? boundedGlobMatches(elements, found) : globMatches(elements, found);
  }

  #elements(variables: Variables): readonly Element[] | undefined {
    if (this.#fixed) return this.#fixed;
    const out: Element[] = [];
    for (const part of this.#parts) {
      if (part.kind === 'elements') {
        out.push(...part.elements);
        continue;
      }
      const value = variables(part.name) ?? part.fallback;
      if (value === undefined) return undefined;
      out.push(...unitsOf(this.#ignoreCase ? value.toLowerCase() : value));
    }
    return out;
  }
}

const unitsOf = (text: string): Element[] =>
  Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));

const join = (parts: readonly Part[]) =>
  parts.flatMap((part) => (part.kind === 'elements' ? part.elements : []));

/** `${*}`, `${?}` and `${$}` stand for the character; `${key, 'text'}` has a default. */
function partsOf(text: string, options: PatternOptions): Part[] {
  const parts: Part[] = [];
  let elements: Element[] = [];
  let colons = 0;
  for (let at = 0; at < text.length; at++) {
    const end = options.variables && text.startsWith('${', at) ? text.indexOf('}', at) : -1;
    if (end > 0) {
      const inside = text.slice(at + 2, end);
      at = end;
      if (['*', '?', '$'].includes(inside)) {
        elements.push(inside.charCodeAt(0));
        continue;
      }
      parts.push({ kind: 'elements', elements }, variableOf(inside));
      elements = [];
      continue;
    }
    if (text[at] === ':') colons++;
    const bounded = options.arn === true && colons < 5 && ![':', undefined].includes(text[at + 1]);
    elements.push(elementOf(text, at, options.wildcards, bounded));
  }
  return [...parts, { kind: 'elements', elements }];
}

function elementOf(text: string, at: number, wildcards: boolean, bounded: boolean): Element {
  if (wildcards && text[at] === '*') return bounded ? ANY_BUT_COLON : ANY;
  if (wildcards && text[at] === '?') return ONE;
  return text.charCodeAt(at);
}

function variableOf(inside: string): Part {
  const [, name, fallback] = /^\s*([^,\s]+)\s*(?:,\s*'(.*)'\s*)?$/.exec(inside) ?? [];
  // What is no variable has no value, ever: the pattern matches nothing.
  return { kind: 'variable', name: name ?? inside, ...(fallback !== undefined && { fallback }) };
}

function leadOf([first]: readonly Part[]): string {
  if (first.kind === 'variable') return '';
  const special = first.elements.findIndex((element) => element < 0);
  return String.fromCharCode(...(special < 0 ? first.elements : first.elements.slice(0, special)));
}

/** Which prefixes of the pattern match what was read of the text so far: one row, renewed with each character. */
function boundedGlobMatches(pattern: readonly Element[], text: string): boolean {
  let row = new Uint8Array(pattern.length + 1);
  row[0] = 1;
  skipStars(pattern, row);
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    const next = new Uint8Array(pattern.length + 1);
    for (let i = 0; i < pattern.length; i++) {
      if (row[i] === 0) continue;
      const element = pattern[i];
      if (element === ANY || (element === ANY_BUT_COLON && unit !== COLON)) next[i] = 1;
      else if (element === unit || element === ONE) next[i + 1] = 1;
    }
    row = next;
    skipStars(pattern, row);
  }
  return row[pattern.length] === 1;
}

/** A star may also stand for nothing. */
function skipStars(pattern: readonly Element[], row: Uint8Array): void {
  for (let i = 0; i < pattern.length; i++)
    if (row[i] === 1 && (pattern[i] === ANY || pattern[i] === ANY_BUT_COLON)) row[i + 1] = 1;
}
