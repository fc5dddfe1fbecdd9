/** Texts against `*` and `?`, in time proportional to pattern times text whatever they hold. */

/** A UTF-16 code unit, or a wildcard below 0. */
export type Element = number;
/** `*`: any characters, or none. */
export const ANY = -1;
/** `?`: one character. */
export const ONE = -3;

/** Without bounded stars it is enough to go back to the last star, and let it take one more. */
export function globMatches(pattern: readonly Element[], text: string): boolean {
  let at = 0;
  let next = 0;
  let star = -1;
  let taken = 0;
  while (at < text.length) {
    const element = pattern[next];
    if (element === ANY) {
      star = next++;
      taken = at;
    } else if (element === ONE || element === text.charCodeAt(at)) {
      next++;
      at++;
    } else if (star >= 0) {
      next = star + 1;
      at = ++taken;
    } else return false;
  }
  while (pattern[next] === ANY) next++;
  return next === pattern.length;
}
