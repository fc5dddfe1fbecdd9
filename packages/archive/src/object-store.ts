/**
 * Where an archive lies: whole objects under names, written once and never changed. A directory is one, an S3 bucket another.
 */

export interface StoredObject {
  readonly key: string;
  readonly sizeBytes: number;
}

export interface ObjectStore {
  /**
   * Writes the object whole or not at all; durable when it resolves. Writing one again that exists replaces it.
   * @throws ARCHIVE_STORE_FAILED
   */
  put(key: string, parts: readonly Uint8Array[]): Promise<void>;
  /** Exactly `lengthBytes` bytes at `at`. @throws ARCHIVE_NO_OBJECT, ARCHIVE_DAMAGED where it is shorter, ARCHIVE_STORE_FAILED */
  read(key: string, at: number, lengthBytes: number): Promise<Uint8Array>;
  /** All whose key starts with `prefix`, in the order of their keys. @throws ARCHIVE_STORE_FAILED */
  list(prefix: string): Promise<StoredObject[]>;
  /** OK where it is not there. @throws ARCHIVE_STORE_FAILED */
  remove(key: string): Promise<void>;
}

/** Sorts in place. Keys are ASCII, so this is the order of their bytes, too. */
export function inOrder(objects: StoredObject[]): StoredObject[] {
  return objects.sort((a, b) => (a.key < b.key ? -1 : 1));
}
