/**
 * Does the same random operations in two directories, one on the mount and one on the system's own filesystem, and stops at
 * the first difference: in what an operation answers, or in the whole trees. `node differential.ts ONE OTHER SEED COUNT`.
 * Prints how often each operation succeeded, so that a run in which everything was refused is seen.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { SeededRandom } from '@rokka/kernel';

const [one = '', other = '', seed = '1', count = '500'] = process.argv.slice(2);
const random = new SeededRandom(Number(seed));
const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'ä', 'a-longer-name'];
const SIZE_MAX = 100_000;
const OPEN_MAX = 6;

/** Open files, the same ones in both directories. */
const held: { fds: [number, number] }[] = [];
const succeeded = new Map<string, number>();

type Step = (root: string, side: 0 | 1) => unknown;

/** Mostly something that is there, or a name beside it; else any path, so that refusals are compared too. */
function place(newName: boolean): string {
  const there = fs.readdirSync(other, { recursive: true, encoding: 'utf8' }).sort();
  if (there.length === 0 || random.chance(0.15)) {
    return Array.from({ length: random.below(3) + 1 }, () => random.pick(NAMES)).join('/');
  }
  const found = random.pick(there);
  if (!newName) return found;
  const isDirectory = fs.lstatSync(path.join(other, found)).isDirectory();
  return path.join(isDirectory && random.chance(0.7) ? found : path.dirname(found), random.pick(NAMES));
}

function bytes(): Buffer {
  const data = Buffer.alloc(random.below(random.chance(0.2) ? 40_000 : 3000));
  for (let i = 0; i < data.length; i += 97) data[i] = random.below(256);
  return data;
}

/** Draws an operation; everything random is drawn here, once for both sides. */
function draw(): [name: string, step: Step] {
  const target = place(false);
  const second = place(true);
  const offset = random.below(random.chance(0.1) ? SIZE_MAX * 10 : SIZE_MAX);
  const data = bytes();
  const file = held.length > 0 ? random.pick(held) : undefined;
  const at = (root: string) => path.join(root, target);
  const steps: [string, number, Step][] = [
    ['write file', 2, (root) => fs.writeFileSync(at(root), data)],
    ['make file', 3, (root) => fs.writeFileSync(path.join(root, second), data)],
    ['append', 2, (root) => fs.appendFileSync(at(root), data)],
    ['read', 2, (root) => digest(fs.readFileSync(at(root)))],
    ['truncate', 2, (root) => fs.truncateSync(at(root), offset)],
    ['make directory', 2, (root) => fs.mkdirSync(path.join(root, second))],
    ['remove directory', 4, (root) => fs.rmdirSync(at(root))],
    ['unlink', 2, (root) => fs.unlinkSync(at(root))],
    ['rename', 3, (root) => fs.renameSync(at(root), path.join(root, second))],
    ['link', 2, (root) => fs.linkSync(at(root), path.join(root, second))],
    ['symlink', 1, (root) => fs.symlinkSync(target, path.join(root, second))],
    ['chmod', 1, (root) => fs.chmodSync(at(root), offset & 0o7777)],
    ['chown', 1, (root) => fs.lchownSync(at(root), offset, data.length)],
    ['utimes', 1, (root) => fs.utimesSync(at(root), offset, data.length)],
    ['stat', 1, (root) => facts(fs.lstatSync(at(root)))],
    ['list', 1, (root) => fs.readdirSync(at(root)).sort()],
  ];
  if (held.length < OPEN_MAX)
    steps.push(['open', 3, (root, side) => keep(side, fs.openSync(at(root), 'a+'))]);
  if (file) {
    const { fds } = file;
    steps.push(
      ['write at', 6, (_root, side) => fs.writeSync(fds[side], data, 0, data.length, offset)],
      ['read at', 3, (_root, side) => readAt(fds[side], offset)],
      ['truncate open', 1, (_root, side) => fs.ftruncateSync(fds[side], offset)],
      ['stat open', 1, (_root, side) => facts(fs.fstatSync(fds[side]))],
      ['sync', 1, (_root, side) => fs.fsyncSync(fds[side])],
      ['close', 2, (_root, side) => letGo(file, side)],
    );
  }
  let pick = random.below(steps.reduce((sum, [, weight]) => sum + weight, 0));
  const [name, , step] = steps.find(([, weight]) => (pick -= weight) < 0)!;
  return [name, step];
}

/** The first side opens the pair, the second completes it. */
function keep(side: 0 | 1, fd: number): void {
  if (side === 0) held.push({ fds: [fd, -1] });
  else held.at(-1)!.fds[1] = fd;
}

function letGo(file: { fds: [number, number] }, side: 0 | 1): void {
  fs.closeSync(file.fds[side]);
  if (side === 1) held.splice(held.indexOf(file), 1);
}

function readAt(fd: number, offset: number): string {
  const into = Buffer.alloc(20_000);
  return digest(into.subarray(0, fs.readSync(fd, into, 0, into.length, offset)));
}

function digest(data: Buffer): string {
  return `${data.length}:${createHash('sha1').update(data).digest('hex')}`;
}

/** What both filesystems must agree on. The size and the link count of a directory are its filesystem's own affair. */
function facts(stats: fs.Stats) {
  const { mode, uid, gid, nlink, size } = stats;
  return { mode, uid, gid, nlink, size: stats.isDirectory() ? 0 : size };
}

function outcome(step: Step, root: string, side: 0 | 1): string {
  try {
    return JSON.stringify(step(root, side)) ?? 'done';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

function tree(root: string, at = '.'): unknown[] {
  const full = path.join(root, at);
  const stats = fs.lstatSync(full);
  const content = stats.isFile()
    ? digest(fs.readFileSync(full))
    : stats.isSymbolicLink()
      ? fs.readlinkSync(full)
      : '';
  const below = stats.isDirectory()
    ? fs
        .readdirSync(full)
        .sort()
        .flatMap((name) => tree(root, path.join(at, name)))
    : [];
  const own = at === '.' ? [] : [[at, facts(stats), content]];
  return [...own, ...below];
}

for (let i = 0; i < Number(count); i++) {
  const [name, step] = draw();
  const answers = [outcome(step, one, 0), outcome(step, other, 1)];
  if (answers[0] !== answers[1]) {
    console.error(`step ${i}, ${name}: ${answers.join(' but ')}`);
    process.exit(1);
  }
  if (!/^E[A-Z]+$/.test(answers[0])) succeeded.set(name, (succeeded.get(name) ?? 0) + 1);
  if (i % 100 !== 99) continue;
  const [left, right] = [JSON.stringify(tree(one)), JSON.stringify(tree(other))];
  if (left !== right) {
    console.error(`after step ${i} the trees differ:\n${left}\n${right}`);
    process.exit(1);
  }
}
console.log(JSON.stringify(Object.fromEntries(succeeded)));
