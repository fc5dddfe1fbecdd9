/** Steps on a real directory, so that what the model takes POSIX to be is compared with what Linux does. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { AssertionError, crc32, unreachable } from '@rokka/kernel';
import { contentOf, Refusal, refuseStep, type Actor, type FileReference, type Step } from './step.ts';

const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;

export class DirectoryActor implements Actor, Disposable {
  readonly #root: string;
  readonly #handles = new Map<number, number>();

  /** `root` is an empty directory; the caller removes it. The process's umask must be 0. */
  constructor(root: string) {
    this.#root = root;
  }

  perform(step: Step): string {
    try {
      return this.#run(step);
    } catch (error) {
      if (error instanceof Refusal) return error.code;
      const { code } = error as { code?: unknown };
      if (typeof code === 'string' && /^E[A-Z]+$/.test(code)) return code;
      throw error;
    }
  }

  dump(): string[] {
    const lines: string[] = [];
    const visit = (directory: string, name: string): void => {
      for (const child of fs.readdirSync(directory).sort()) {
        const at = path.join(directory, child);
        lines.push(describe(at, `${name}/${child}`));
        if (fs.lstatSync(at).isDirectory()) visit(at, `${name}/${child}`);
      }
    };
    visit(this.#root, '');
    return lines;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#handles.values()) fs.closeSync(fd);
    this.#handles.clear();
  }

  #run(step: Step): string {
    switch (step.op) {
      case 'create':
        fs.closeSync(fs.openSync(this.#at(step.path), O_RDWR | O_CREAT | O_EXCL, step.mode));
        return 'ok';
      case 'makeDirectory':
        fs.mkdirSync(this.#at(step.path), { mode: step.mode });
        return 'ok';
      case 'changeMode':
        fs.chmodSync(this.#followed(step.path), step.mode);
        return 'ok';
      case 'symlink':
        fs.symlinkSync(step.target, this.#at(step.path));
        return 'ok';
      case 'link':
        // The kernel looks the file up before it looks at the new name's directory.
        fs.lstatSync(this.#at(step.path));
        fs.linkSync(this.#at(step.path), this.#at(step.to));
        return 'ok';
      case 'unlink':
        fs.unlinkSync(this.#at(step.path));
        return 'ok';
      case 'removeDirectory':
        fs.rmdirSync(this.#at(step.path));
        return 'ok';
      case 'rename':
        fs.renameSync(this.#at(step.path), this.#at(step.to));
        return 'ok';
      case 'list':
        return fs.readdirSync(this.#unfollowed(step.path)).sort().join();
      case 'readlink':
        return fs.readlinkSync(this.#at(step.path));
      case 'open':
        return this.#open(step.path, step.handle);
      case 'close':
        return this.#close(step.handle);
      case 'write':
      case 'read':
      case 'resize':
        return this.#withFile(step.file, (fd) => runOnFile(fd, step));
      case 'renameFresh':
      case 'exchange':
      case 'reserve':
      case 'punch':
      case 'zero':
      case 'sync':
        throw new AssertionError(`node:fs cannot ${step.op}`);
      default:
        return unreachable(step);
    }
  }

  #open(name: string, handle: number): string {
    const at = this.#followed(name);
    if (fs.lstatSync(at).isDirectory()) refuseStep('EISDIR');
    const fd = fs.openSync(at, O_RDWR | O_NOFOLLOW);
    this.#close(handle);
    this.#handles.set(handle, fd);
    return 'ok';
  }

  #close(handle: number): string {
    const fd = this.#handles.get(handle);
    if (fd === undefined) return 'EBADF';
    fs.closeSync(fd);
    this.#handles.delete(handle);
    return 'ok';
  }

  #withFile(file: FileReference, use: (fd: number) => string): string {
    if (typeof file === 'number') return use(this.#handles.get(file) ?? refuseStep('EBADF'));
    const fd = fs.openSync(this.#followed(file), O_RDWR | O_NOFOLLOW);
    try {
      return use(fd);
    } finally {
      fs.closeSync(fd);
    }
  }

  /** The path on this machine. No link is followed on the way: FileSystem leaves that to its caller. */
  #at(name: string): string {
    const parts = name.split('/');
    for (let i = 1; i < parts.length; i++) {
      const stat = fs.lstatSync(path.join(this.#root, ...parts.slice(0, i)));
      if (!stat.isDirectory()) refuseStep('ENOTDIR');
    }
    return path.join(this.#root, name);
  }

  #followed(name: string): string {
    const at = this.#at(name);
    if (fs.lstatSync(at).isSymbolicLink()) refuseStep('ELOOP');
    return at;
  }

  #unfollowed(name: string): string {
    const at = this.#at(name);
    if (fs.lstatSync(at).isSymbolicLink()) refuseStep('ENOTDIR');
    return at;
  }
}

function runOnFile(fd: number, step: Extract<Step, { op: 'write' | 'read' | 'resize' }>): string {
  switch (step.op) {
    case 'write':
      fs.writeSync(fd, contentOf(step), 0, step.length, step.offset);
      return 'ok';
    case 'read': {
      const bytes = new Uint8Array(step.length);
      const count = fs.readSync(fd, bytes, 0, step.length, step.offset);
      return `${count} ${crc32(bytes.subarray(0, count))}`;
    }
    case 'resize':
      fs.ftruncateSync(fd, step.size);
      return 'ok';
    default:
      return unreachable(step);
  }
}

function describe(at: string, name: string): string {
  const stat = fs.lstatSync(at);
  const mode = (stat.mode & 0o7777).toString(8);
  if (stat.isDirectory()) return `${name} directory ${mode}`;
  if (stat.isSymbolicLink()) return `${name} symlink ${stat.nlink} ${fs.readlinkSync(at)}`;
  return `${name} file ${mode} ${stat.nlink} ${stat.size} ${crc32(fs.readFileSync(at))}`;
}
