/**
 * The tags that an input would set, wherever its service writes them: `Tags` as a list of pairs or as a map, in capitals or
 * not, EC2's `TagSpecifications`, and the `TagKeys` that a call takes away.
 */

export interface RequestTags {
  readonly values: ReadonlyMap<string, string>;
  readonly keys: readonly string[];
}

type Input = Record<string, unknown>;

/** @param tagged of `TagSpecifications`, those for this type alone; unless given, all of them */
export function requestTags(input: unknown, tagged?: string): RequestTags {
  const values = new Map<string, string>();
  if (!isObject(input)) return { values, keys: [] };
  for (const name of ['Tags', 'tags', 'TagList']) collect(input[name], values);
  for (const specification of listOf(input['TagSpecifications'] ?? input['TagSpecification']))
    if (
      isObject(specification) &&
      (tagged ?? specification['ResourceType']) === specification['ResourceType']
    )
      collect(specification['Tags'], values);
  const removed = [...listOf(input['TagKeys']), ...listOf(input['tagKeys'])].filter(
    (key) => typeof key === 'string',
  );
  return { values, keys: [...new Set([...values.keys(), ...removed])] };
}

function collect(tags: unknown, into: Map<string, string>): void {
  if (isObject(tags)) {
    for (const [key, value] of Object.entries(tags)) if (typeof value === 'string') into.set(key, value);
    return;
  }
  for (const tag of listOf(tags)) {
    if (!isObject(tag)) continue;
    const [key, value] = [tag['Key'] ?? tag['key'], tag['Value'] ?? tag['value']];
    if (typeof key === 'string') into.set(key, typeof value === 'string' ? value : '');
  }
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function isObject(value: unknown): value is Input {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
