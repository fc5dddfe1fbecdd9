/** The directory that holds the page files of a node's full segments: made, opened and removed with the segments. */
import { mutant, type Disk } from '@rokka/kernel';
import { storageErrors } from './errors.ts';
import { PageFile } from './page-file.ts';
import type { Segment } from './segment.ts';

const PAGE_FILE = /^\d+\.(pages|table)$/;

export class PageDirectory {
  readonly #disk: Disk;
  /** Of the node. */
  readonly #parent: string;
  readonly #path: string;

  constructor(disk: Disk, parent: string) {
    this.#disk = disk;
    this.#parent = parent;
    this.#path = `${parent}/pages`;
  }

  /** Opens the files of a full segment, or makes them; one whose table is not the one that the log describes has a fault. */
  open(segment: Segment): void {
    if (segment.kind === 'tail' || segment.pageFile) return;
    segment.pageFile = new PageFile({
      disk: this.#disk,
      directory: this.#path,
      segment: segment.id,
      pageCount: segment.pageCount,
      generation: segment.generation,
    });
    if (segment.pageFile.damaged)
      segment.pagesFault = storageErrors.STORAGE_PAGES_DAMAGED([segment.pageFile.path]);
  }

  /** The highest number of a segment that has files here; 0 where none has. */
  get highest(): number {
    if (!this.#disk.exists(this.#path)) return 0;
    const names = this.#disk.list(this.#path).filter((name) => PAGE_FILE.test(name));
    return Math.max(0, ...names.map((name) => Number.parseInt(name, 10)));
  }

  /** Removes the files of segments that are gone. */
  remove(isGone: (id: number) => boolean): void {
    if (!this.#disk.exists(this.#path)) return;
    const names = this.#disk.list(this.#path);
    const gone = names.filter((name) => PAGE_FILE.test(name) && isGone(Number.parseInt(name, 10)));
    for (const name of gone) this.#disk.remove(`${this.#path}/${name}`);
    if (gone.length > 0) this.#disk.syncDirectory(this.#path);
  }

  /**
   * A page file's name must last before the log says what is in it, and so must the name of its directory. At every start:
   * the process before may have been killed between the making and the syncing, and left the names in memory only.
   */
  syncNames(): void {
    if (mutant('page-names-not-synced')) return;
    this.#disk.syncDirectory(this.#path);
    this.#disk.syncDirectory(this.#parent);
  }
}
