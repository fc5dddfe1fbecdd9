/** Objects in memory, for tests: puts can be made to fail, and bytes can be changed. */
import { must } from '@rokka/kernel';
import { archiveErrors } from '../errors.ts';
import type { ObjectStore, StoredObject } from '../object-store.ts';

export class MemoryStore implements ObjectStore {
  readonly objects = new Map<string, Uint8Array>();
  /** Asked before each put: whether it fails. */
  fails: (key: string) => boolean = () => false;

  async put(key: string, parts: readonly Uint8Array[]): Promise<void> {
    if (this.fails(key)) throw archiveErrors.ARCHIVE_STORE_FAILED([`write ${key}`, 'told to fail']);
    this.objects.set(key, Buffer.concat(parts));
  }

  async read(key: string, at: number, lengthBytes: number): Promise<Uint8Array> {
    const object = this.objects.get(key);
    if (!object) throw archiveErrors.ARCHIVE_NO_OBJECT([key]);
    if (at + lengthBytes > object.length) throw archiveErrors.ARCHIVE_DAMAGED([key, 'short']);
    return object.slice(at, at + lengthBytes);
  }

  async list(prefix: string): Promise<StoredObject[]> {
    const keys = [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort();
    return keys.map((key) => ({ key, sizeBytes: must(this.objects.get(key)).length }));
  }

  async remove(key: string): Promise<void> {
    this.objects.delete(key);
  }
}
