/**
 * Names: making, linking and removing entries of directories. Renaming has a file of its own.
 *
 * Permissions are the caller's affair (the kernel checks them under default_permissions). Here stand the rules that the
 * kernel leaves to a filesystem: groups inherited from set-group-id directories, link counts, what may be removed.
 */
import { must, PAGE_SIZE } from '@rokka/kernel';
import type { Entry } from './directory.ts';
import { refuse } from './errors.ts';
import type { Inode } from './inode.ts';
import { INLINE_TARGET_BYTES, LINKS_MAX, type Ino } from './layout.ts';
import { kindOf, PERMISSIONS, S_IFDIR, S_IFLNK, S_IFREG, S_ISGID } from './mode.ts';
import { checkNameLength, checkNewName, checkTarget, nameToUtf8 } from './names.ts';
import { transact, type Transaction } from './transaction.ts';
import type { Tree } from './tree.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface NewInode extends Owner {
  /** Permissions, the umask already taken off. */
  readonly mode: number;
}

/** @throws FsError ESTALE, ENOTDIR */
export function directoryAt(tree: Tree, ino: Ino): Inode {
  const inode = tree.inode(ino);
  return inode.directory ? inode : refuse('ENOTDIR', `inode ${ino} is a ${inode.kind}, not a directory`);
}

/** @throws FsError ENOENT, ENAMETOOLONG */
export function entryIn(parent: Inode, name: string): Entry {
  checkNameLength(name);
  const entry = must(parent.directory).get(name);
  return entry ?? refuse('ENOENT', `directory ${parent.record.ino} has no '${nameToUtf8(name)}'`);
}

/** @throws FsError ENOENT where the directory itself was removed, EINVAL, ENAMETOOLONG, EEXIST for `.` and `..` */
export function checkPlace(parent: Inode, name: string): void {
  checkNewName(name);
  if (parent.record.nlink === 0) refuse('ENOENT', `directory ${parent.record.ino} was removed`);
}

/** @throws FsError EEXIST besides those of checkPlace */
export function checkFree(parent: Inode, name: string): void {
  checkPlace(parent, name);
  if (must(parent.directory).get(name)) {
    refuse('EEXIST', `directory ${parent.record.ino} has '${nameToUtf8(name)}' already`);
  }
}

export function makeFile(tree: Tree, place: { parent: Inode; name: string }, made: NewInode): Inode {
  return makeInode(tree, place, { ...made, mode: S_IFREG | (made.mode & PERMISSIONS) });
}

export function makeDirectory(tree: Tree, place: { parent: Inode; name: string }, made: NewInode): Inode {
  const inherited = place.parent.record.mode & S_ISGID;
  return makeInode(tree, place, { ...made, mode: S_IFDIR | (made.mode & PERMISSIONS) | inherited });
}

export function makeLink(
  tree: Tree,
  place: { parent: Inode; name: string },
  to: Owner & { target: string },
): Inode {
  checkTarget(to.target);
  return makeInode(tree, place, { uid: to.uid, gid: to.gid, mode: S_IFLNK | 0o777, target: to.target });
}

/** One more name for a file. @throws FsError EPERM, ENOENT, EMLINK, EEXIST */
export function addName(tree: Tree, inode: Inode, { parent, name }: { parent: Inode; name: string }): void {
  const { ino, nlink } = inode.record;
  checkFree(parent, name);
  if (inode.directory) refuse('EPERM', `inode ${ino} is a directory: it has one name`);
  if (nlink === 0) refuse('ENOENT', `inode ${ino} was removed`);
  if (nlink >= LINKS_MAX) refuse('EMLINK', `inode ${ino} has ${nlink} names`);
  transact(tree, (change) => {
    const draft = change.editEssential(inode);
    draft.nlink += 1;
    draft.ctime = tree.now();
    change.addEntry(parent, name, inode);
    touch(tree, change, parent);
  });
}

/** @throws FsError ENOENT, EISDIR */
export function removeName(tree: Tree, parent: Inode, name: string): void {
  const entry = entryIn(parent, name);
  if (entry.child.directory) refuse('EISDIR', `'${nameToUtf8(name)}' is a directory`);
  transact(tree, (change) => {
    change.removeEntry(entry);
    dropLink(tree, change, entry.child);
    touch(tree, change, parent);
  });
}

/** @throws FsError ENOENT, ENOTDIR, ENOTEMPTY */
export function removeDirectory(tree: Tree, parent: Inode, name: string): void {
  const entry = entryIn(parent, name);
  const { directory } = entry.child;
  if (!directory) return refuse('ENOTDIR', `'${nameToUtf8(name)}' is not a directory`);
  if (directory.size > 0) refuse('ENOTEMPTY', `'${nameToUtf8(name)}' has ${directory.size} entries`);
  transact(tree, (change) => {
    change.removeEntry(entry);
    dropLink(tree, change, entry.child);
    touch(tree, change, parent).nlink -= 1;
  });
}

/** The inode has lost a name. It goes with its last one, unless it is open: then it is an orphan until released. */
export function dropLink(tree: Tree, change: Transaction, inode: Inode): void {
  const nlink = inode.directory ? 0 : inode.record.nlink - 1;
  if (nlink === 0 && inode.openCount === 0) return change.destroyInode(inode);
  const draft = change.editEssential(inode);
  draft.nlink = nlink;
  draft.ctime = tree.now();
}

/** A directory whose entries change. Answers its draft. */
export function touch(tree: Tree, change: Transaction, parent: Inode) {
  const draft = change.editEssential(parent);
  draft.mtime = draft.ctime = tree.now();
  return draft;
}

function makeInode(
  tree: Tree,
  { parent, name }: { parent: Inode; name: string },
  made: NewInode & { target?: string },
): Inode {
  checkFree(parent, name);
  const kind = kindOf(made.mode);
  const now = tree.now();
  const { target } = made;
  const inline = target !== undefined && target.length <= INLINE_TARGET_BYTES;
  return transact(tree, (change) => {
    const inode = change.createInode({
      mode: made.mode,
      nlink: kind === 'directory' ? 2 : 1,
      uid: made.uid,
      gid: parent.record.mode & S_ISGID ? parent.record.gid : made.gid,
      sizeBytes: target?.length ?? 0,
      atime: now,
      mtime: now,
      ctime: now,
      target: inline ? target : undefined,
    });
    if (target !== undefined && !inline) writeTarget(change, inode, target);
    change.addEntry(parent, name, inode);
    const draft = touch(tree, change, parent);
    if (kind === 'directory') draft.nlink += 1;
    return inode;
  });
}

/** A target that is too long for the slot has one page, as a file of its length would. */
function writeTarget(change: Transaction, inode: Inode, target: string): void {
  const bytes = Buffer.from(target, 'latin1');
  const [{ page }] = change.takePages(inode, Math.ceil(bytes.length / PAGE_SIZE), undefined);
  change.write({ page, offset: 0, bytes, init: true });
  change.remap(inode, { from: 0, deleteCount: 0, added: [{ block: 0, page, count: 1, written: true }] }, []);
}
