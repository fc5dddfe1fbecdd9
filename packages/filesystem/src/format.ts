/** Makes an empty filesystem: superblock, first metadata chunk and root directory in one mini-transaction. */
import type { Clock, Random } from '@rokka/kernel';
import type { PageStore, PageWrite } from '@rokka/volume';
import { filesystemErrors } from './errors.ts';
import { fileTimeFromMs } from './file-time.ts';
import { FIRST_CHUNK_PAGES, pageAfter, ROOT_INO, SLOT_BYTES, SUPERBLOCK_PAGE } from './layout.ts';
import { PERMISSIONS, S_IFDIR } from './mode.ts';
import type { NewInode } from './namespace.ts';
import { encodeInode } from './slot.ts';
import { encodePageHeader, encodeSuperblock, isBlank } from './superblock.ts';

export interface FormatOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Owner and permissions of the root directory; root's and 0755 unless given. */
  readonly root?: NewInode;
}

/** @throws NotReady; FILESYSTEM_EXISTS where page 0 is not empty */
export function format(store: PageStore, options: FormatOptions): void {
  if (!isBlank(store.page(SUPERBLOCK_PAGE))) throw filesystemErrors.FILESYSTEM_EXISTS([]);
  const { mode, uid, gid } = options.root ?? { mode: 0o755, uid: 0, gid: 0 };
  const id = options.random.hex(16);
  const now = fileTimeFromMs(options.clock.wallMs());
  const chunk = { page: pageAfter(SUPERBLOCK_PAGE, 1), count: FIRST_CHUNK_PAGES };
  const superblock = encodeSuperblock({
    id,
    inoLimit: ROOT_INO + 1,
    createdSeconds: now.seconds,
    chunks: [chunk],
  });
  const root = encodeInode(
    {
      ino: ROOT_INO,
      mode: S_IFDIR | (mode & PERMISSIONS),
      nlink: 2,
      uid,
      gid,
      sizeBytes: 0,
      atime: now,
      mtime: now,
      ctime: now,
      target: undefined,
    },
    [],
  );
  const writes: PageWrite[] = [{ page: SUPERBLOCK_PAGE, offset: 0, bytes: superblock, init: true }];
  for (let i = 0; i < chunk.count; i++) {
    const page = pageAfter(chunk.page, i);
    writes.push({ page, offset: 0, bytes: encodePageHeader(id, page), init: true });
  }
  writes.push({ page: chunk.page, offset: SLOT_BYTES, bytes: root });
  store.apply(writes);
}
