/**
 * Cluster state by compare-and-set: the one authority for which epoch means what. Small values, rarely written, never on
 * the path of a commit. SQLite serves it on one machine, etcd on many.
 */
export interface RegistryEntry<T = unknown> {
  readonly key: string;
  readonly value: T;
  /** Changes with every write of the key; 0 stands for "no such key" in `put`. */
  readonly revision: number;
}

export interface Registry extends AsyncDisposable {
  get<T>(key: string): Promise<RegistryEntry<T> | undefined>;
  /** Entries whose key starts with `prefix`, in key order. */
  list<T>(prefix: string): Promise<RegistryEntry<T>[]>;
  /**
   * Writes `value` (plain JSON) if the key is still at `expectedRevision`; durable before it resolves.
   *
   * A conflict means that this write did not take effect and never will. Any other error leaves that open, unless its
   * detail `inDoubt` is false: read the key again before you rely on either.
   * @returns the new revision
   * @throws REGISTRY_CONFLICT where somebody else was first
   */
  put(key: string, value: unknown, expectedRevision: number): Promise<number>;
  /** As `put` does, with no value. @throws REGISTRY_CONFLICT */
  remove(key: string, expectedRevision: number): Promise<void>;
}
