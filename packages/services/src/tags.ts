/** Tags of resources, as most services have them. */

export interface Tag {
  readonly Key: string;
  readonly Value: string;
}

/** As the SDK has them. */
export interface GivenTag {
  Key?: string | undefined;
  Value?: string | undefined;
}

/** What a service takes, and its own exceptions for what it does not. */
export interface TagRules {
  readonly keyMax: number;
  readonly invalid: (message: string) => Error;
  readonly tooMany: (message: string) => Error;
}

const TAGS_MAX = 50;
const VALUE_MAX = 256;

/** @throws what the rules say */
export function checkedTags(tags: readonly GivenTag[] | undefined, rules: TagRules): Tag[] {
  const { keyMax, invalid } = rules;
  const checked = (tags ?? []).map(({ Key = '', Value = '' }) => ({ Key, Value }));
  for (const { Key, Value } of checked)
    if (Key.length < 1 || Key.length > keyMax || Value.length > VALUE_MAX || isReserved(Key))
      throw invalid(
        `The tag ${Key.slice(0, keyMax)} is not valid: a key has 1 to ${keyMax} characters and does not begin with aws:, a value has up to ${VALUE_MAX}.`,
      );
  return withTags([], checked, rules);
}

/** Of a service's own: nobody else sets them or takes them away. */
export const isReserved = (key: string) => /^aws:/i.test(key);

/** Later ones count. Those of a service are not counted. @throws what the rules say where they become too many */
export function withTags(tags: readonly Tag[], more: readonly Tag[], rules: TagRules): Tag[] {
  const byKey = new Map([...tags, ...more].map((tag) => [tag.Key, tag]));
  const own = [...byKey.keys()].filter((key) => !isReserved(key));
  if (own.length > TAGS_MAX) throw rules.tooMany(`A resource has at most ${TAGS_MAX} tags.`);
  return [...byKey.values()];
}
