/** What stat(2) tells about an inode, and what chmod, chown, truncate and utimes change. */
import { PAGE_SIZE } from '@rokka/kernel';
import { refuse } from './errors.ts';
import { assertFileTime, type FileTime } from './file-time.ts';
import { resizeFile } from './file-data.ts';
import type { Inode } from './inode.ts';
import type { Ino } from './layout.ts';
import { PERMISSIONS, S_IFMT, withoutSetId, type FileKind } from './mode.ts';
import { transact } from './transaction.ts';
import type { Tree } from './tree.ts';

export interface Attributes {
  readonly ino: Ino;
  readonly kind: FileKind;
  /** With the bits of the kind (S_IFMT). */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  /** Bytes of the pages that the file owns; holes have none. */
  readonly allocatedBytes: number;
  /** Set by setAttributes alone: reading leaves no trace (noatime). */
  readonly atime: FileTime;
  readonly mtime: FileTime;
  readonly ctime: FileTime;
}

export interface AttributeChange {
  /** Permissions; bits of the kind are ignored. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly sizeBytes?: number;
  readonly atime?: FileTime;
  readonly mtime?: FileTime;
  /** A new length does not take set-user-id and set-group-id away, because the caller may (CAP_FSETID). */
  readonly keepSetId?: boolean;
}

export function attributesOf(inode: Inode): Attributes {
  const { ino, mode, nlink, uid, gid, sizeBytes, atime, mtime, ctime } = inode.record;
  const allocatedBytes = inode.mappedBlocks * PAGE_SIZE;
  return {
    ino,
    kind: inode.kind,
    mode,
    nlink,
    uid,
    gid,
    sizeBytes,
    allocatedBytes,
    atime,
    mtime,
    ctime,
  };
}

/** @throws NotReady, FsError EISDIR, EINVAL, EFBIG */
export function changeAttributes(tree: Tree, inode: Inode, wanted: AttributeChange): void {
  const { mode, uid, gid, sizeBytes, atime, mtime, keepSetId = false } = wanted;
  for (const time of [atime, mtime]) if (time) assertFileTime(time);
  const now = tree.now();
  const timesAlone = mode === undefined && uid === undefined && gid === undefined && sizeBytes === undefined;
  if (timesAlone && !tree.timesDirty.mustNotWait) {
    // Times alone wait in memory: under a write-back cache one such change comes before every fsync.
    inode.record.atime = atime ?? inode.record.atime;
    inode.record.mtime = mtime ?? inode.record.mtime;
    inode.record.ctime = now;
    return tree.timesDirty.add(inode);
  }
  if (sizeBytes !== undefined) assertResizable(inode, sizeBytes);
  transact(tree, (change) => {
    const draft = change.edit(inode);
    if (sizeBytes !== undefined) {
      resizeFile(change, inode, sizeBytes);
      draft.mtime = now;
    }
    const givenAway = uid !== undefined || gid !== undefined;
    if (givenAway || (sizeBytes !== undefined && !keepSetId)) draft.mode = withoutSetId(draft.mode);
    if (mode !== undefined) draft.mode = (draft.mode & S_IFMT) | (mode & PERMISSIONS);
    draft.uid = uid ?? draft.uid;
    draft.gid = gid ?? draft.gid;
    draft.atime = atime ?? draft.atime;
    draft.mtime = mtime ?? draft.mtime;
    draft.ctime = now;
  });
}

function assertResizable(inode: Inode, sizeBytes: number): void {
  if (inode.kind === 'directory')
    refuse('EISDIR', `inode ${inode.record.ino} is a directory: it has no length`);
  if (inode.kind !== 'file' || sizeBytes < 0) refuse('EINVAL', `no length ${sizeBytes} for a ${inode.kind}`);
}
