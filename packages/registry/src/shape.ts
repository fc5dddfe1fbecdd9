/**
 * From `unknown` to a typed value, or a coded error that says where it went wrong. Fields that are not known are refused:
 * a program that read past them would drop them when it writes the value back.
 */
import { registryErrors } from './errors.ts';

/** Where a value stands: the registry key, and the path within its document. */
export interface Place {
  readonly key: string;
  readonly path: string;
}

/** @throws REGISTRY_BAD_VALUE */
export type Shape<T> = (value: unknown, place: Place) => T;

export function refuse(place: Place, why: string): never {
  throw registryErrors.REGISTRY_BAD_VALUE([place.key, place.path === '' ? why : `${place.path} ${why}`]);
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** Text that matches all of `pattern`; `what` names it in the error. */
export function text<T extends string = string>(pattern: RegExp, what: string): Shape<T> {
  return (value, place) =>
    typeof value === 'string' && pattern.test(value)
      ? (value as T)
      : refuse(place, `is ${show(value)}, not ${what}`);
}

export function whole<T extends number = number>(min: number, max = Number.MAX_SAFE_INTEGER): Shape<T> {
  return (value, place) =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
      ? (value as T)
      : refuse(place, `is ${show(value)}, not a whole number from ${min} to ${max}`);
}

export function oneOf<const T extends readonly (string | number)[]>(...choices: T): Shape<T[number]> {
  return (value, place) =>
    choices.find((choice) => choice === value) ??
    refuse(place, `is ${show(value)}, not one of ${choices.join(', ')}`);
}

export function listOf<T>(item: Shape<T>, length?: number): Shape<T[]> {
  return (value, place) => {
    if (!Array.isArray(value)) refuse(place, `is ${show(value)}, not a list`);
    if (length !== undefined && value.length !== length)
      refuse(place, `has ${value.length} items, not ${length}`);
    return value.map((each, index) => item(each, { ...place, path: `${place.path}[${index}]` }));
  };
}

export function object<T extends object>(fields: { [K in keyof T]: Shape<T[K]> }): Shape<T> {
  const names = Object.keys(fields) as (keyof T & string)[];
  return (value, place) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      refuse(place, `is ${show(value)}, not an object`);
    for (const name of Object.keys(value))
      if (!Object.hasOwn(fields, name))
        refuse(place, `has the field ${show(name)}, which this program does not know`);
    const inner = place.path === '' ? '' : `${place.path}.`;
    const read = (name: keyof T & string) =>
      fields[name]((value as Partial<T>)[name], { ...place, path: inner + name });
    return Object.fromEntries(names.map((name) => [name, read(name)])) as T;
  };
}

/** `shape`, and a rule over its fields: `rule` answers what is wrong. */
export function ruled<T>(shape: Shape<T>, rule: (value: T) => string | undefined): Shape<T> {
  return (value, place) => {
    const read = shape(value, place);
    const wrong = rule(read);
    return wrong === undefined ? read : refuse(place, wrong);
  };
}
