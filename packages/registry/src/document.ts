/** Typed documents in a registry: a kind says under which keys they lie and what they look like. */
import type { Registry, RegistryEntry } from './registry.ts';
import { refuse, type Shape } from './shape.ts';

export interface DocumentKind<T, Id extends string = string> {
  /** Keys are prefix + id. */
  readonly prefix: string;
  readonly shape: Shape<T>;
  /** The id that a document carries within, which must be that of its key. */
  readonly idOf: (document: T) => Id;
}

function check<T, Id extends string>(kind: DocumentKind<T, Id>, key: string, value: unknown): T {
  const document = kind.shape(value, { key, path: '' });
  const own = kind.prefix + kind.idOf(document);
  return own === key ? document : refuse({ key, path: '' }, `is that of ${own}`);
}

/** @throws REGISTRY_BAD_VALUE, and what Registry.get throws */
export async function readDocument<T, Id extends string>(
  registry: Registry,
  kind: DocumentKind<T, Id>,
  id: Id,
): Promise<RegistryEntry<T> | undefined> {
  const entry = await registry.get(kind.prefix + id);
  return entry && { ...entry, value: check(kind, entry.key, entry.value) };
}

/** All of a kind, in key order. @throws REGISTRY_BAD_VALUE, and what Registry.list throws */
export async function listDocuments<T, Id extends string>(
  registry: Registry,
  kind: DocumentKind<T, Id>,
): Promise<RegistryEntry<T>[]> {
  const entries = await registry.list(kind.prefix);
  return entries.map((entry) => ({ ...entry, value: check(kind, entry.key, entry.value) }));
}

/**
 * Writes `document` if its key is still at `expectedRevision` (0: it does not exist).
 *
 * @returns the new revision
 * @throws REGISTRY_BAD_VALUE, REGISTRY_CONFLICT, and what else Registry.put throws
 */
export async function putDocument<T, Id extends string>(
  registry: Registry,
  kind: DocumentKind<T, Id>,
  document: T,
  expectedRevision: number,
): Promise<number> {
  const key = kind.prefix + kind.idOf(document);
  return registry.put(key, check(kind, key, document), expectedRevision);
}

/** @throws REGISTRY_CONFLICT, and what else Registry.remove throws */
export async function removeDocument<T, Id extends string>(
  registry: Registry,
  kind: DocumentKind<T, Id>,
  id: Id,
  expectedRevision: number,
): Promise<void> {
  await registry.remove(kind.prefix + id, expectedRevision);
}
