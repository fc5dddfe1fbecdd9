/** rename(2) and renameat2(2): one mini-transaction, so that there is no moment without the old name or the new one. */
import { must } from '@rokka/kernel';
import type { Entry } from './directory.ts';
import { refuse } from './errors.ts';
import type { Inode } from './inode.ts';
import { nameToUtf8 } from './names.ts';
import { checkPlace, dropLink, entryIn, touch } from './namespace.ts';
import { transact, type Transaction } from './transaction.ts';
import type { Tree } from './tree.ts';

export interface RenameOptions {
  /** Refuses to replace (EEXIST). */
  readonly noReplace?: boolean;
  /** The two names change places; both must exist. */
  readonly exchange?: boolean;
}

interface Place {
  readonly parent: Inode;
  readonly name: string;
}

/** @throws NotReady, FsError ENOENT, EEXIST, EINVAL, ENOTDIR, EISDIR, ENOTEMPTY, ENAMETOOLONG */
export function rename(tree: Tree, from: Place, to: Place, options: RenameOptions): void {
  const { noReplace = false, exchange = false } = options;
  if (noReplace && exchange) refuse('EINVAL', 'noReplace and exchange exclude each other');
  const source = entryIn(from.parent, from.name);
  checkPlace(to.parent, to.name);
  const target = must(to.parent.directory).get(to.name);
  if (target && noReplace) refuse('EEXIST', `'${nameToUtf8(to.name)}' is there already`);
  if (!target && exchange) refuse('ENOENT', `there is no '${nameToUtf8(to.name)}' to exchange with`);
  if (target?.child === source.child) return;
  if (holds(source.child, to.parent)) refuse('EINVAL', 'a directory cannot move into itself');
  if (target && exchange) return swap(tree, source, target);
  if (target) checkReplaceable(source, target);

  transact(tree, (change) => {
    if (target) {
      change.retargetEntry(target, source.child);
      change.removeEntry(source);
      dropLink(tree, change, target.child);
    } else {
      change.moveEntry(source, to.parent, to.name);
    }
    change.editEssential(source.child).ctime = tree.now();
    const fromDraft = touch(tree, change, from.parent);
    const toDraft = touch(tree, change, to.parent);
    // The `..` of a directory counts as a link to its parent.
    if (source.child.directory) {
      fromDraft.nlink -= 1;
      toDraft.nlink += target ? 0 : 1;
    }
  });
}

function swap(tree: Tree, a: Entry, b: Entry): void {
  if (holds(b.child, a.parent)) refuse('EINVAL', 'a directory cannot move into itself');
  transact(tree, (change) => {
    const [childOfA, childOfB] = [a.child, b.child];
    change.retargetEntry(a, childOfB);
    change.retargetEntry(b, childOfA);
    for (const child of [childOfA, childOfB]) change.editEssential(child).ctime = tree.now();
    moveParentLink(tree, change, { child: childOfA, from: a.parent, to: b.parent });
    moveParentLink(tree, change, { child: childOfB, from: b.parent, to: a.parent });
  });
}

function moveParentLink(
  tree: Tree,
  change: Transaction,
  { child, from, to }: { child: Inode; from: Inode; to: Inode },
): void {
  const drafts = [touch(tree, change, from), touch(tree, change, to)];
  if (!child.directory) return;
  drafts[0].nlink -= 1;
  drafts[1].nlink += 1;
}

function checkReplaceable(source: Entry, target: Entry): void {
  const name = nameToUtf8(target.name);
  if (!target.child.directory) {
    if (source.child.directory)
      refuse('ENOTDIR', `'${name}' is not a directory and cannot be replaced by one`);
    return;
  }
  // As the kernel has it: what is on the way to the source is not empty, whatever its kind.
  if (holds(target.child, source.parent)) refuse('ENOTEMPTY', `'${name}' has entries`);
  if (!source.child.directory) refuse('EISDIR', `'${name}' is a directory`);
  if (target.child.directory.size > 0) refuse('ENOTEMPTY', `'${name}' has entries`);
}

/** Whether `directory` is `inode` or on the way from it to the root. */
function holds(directory: Inode, inode: Inode): boolean {
  if (!directory.directory) return false;
  for (let at: Inode | undefined = inode; at; at = at.parent) if (at === directory) return true;
  return false;
}
