/** A filesystem as simple as one can be: nodes in maps, content in byte arrays. It is right because it is dumb. */
import { crc32, unreachable } from '@rokka/kernel';
import { contentOf, Refusal, refuseStep, type Actor, type FileReference, type Step } from './step.ts';

interface Node {
  kind: 'file' | 'directory' | 'symlink';
  mode: number;
  nlink: number;
  bytes: Uint8Array;
  target: string;
  children: Map<string, Node>;
}

export class ModelActor implements Actor {
  readonly #root = makeNode('directory', 0o755);
  readonly #handles = new Map<number, Node>();

  perform(step: Step): string {
    try {
      return this.#run(step);
    } catch (error) {
      if (error instanceof Refusal) return error.code;
      throw error;
    }
  }

  dump(): string[] {
    const lines: string[] = [];
    const visit = (node: Node, path: string): void => {
      for (const name of [...node.children.keys()].sort()) {
        const child = node.children.get(name) as Node;
        lines.push(describe(child, `${path}/${name}`));
        visit(child, `${path}/${name}`);
      }
    };
    visit(this.#root, '');
    return lines;
  }

  #run(step: Step): string {
    switch (step.op) {
      case 'create':
        return this.#add(step.path, makeNode('file', step.mode));
      case 'makeDirectory':
        return this.#add(step.path, makeNode('directory', step.mode));
      case 'symlink':
        return this.#add(step.path, { ...makeNode('symlink', 0o777), target: step.target });
      case 'changeMode':
        this.#followed(step.path).mode = step.mode;
        return 'ok';
      case 'link':
        return this.#link(step.path, step.to);
      case 'unlink':
      case 'removeDirectory':
        return this.#remove(step.path, step.op === 'unlink');
      case 'rename':
      case 'renameFresh':
      case 'exchange':
        return this.#rename(step);
      case 'list': {
        const node = this.#node(step.path);
        if (node.kind !== 'directory') refuseStep('ENOTDIR');
        return [...node.children.keys()].sort().join();
      }
      case 'readlink': {
        const node = this.#node(step.path);
        return node.kind === 'symlink' ? node.target : refuseStep('EINVAL');
      }
      case 'sync':
        this.#node(step.path);
        return 'ok';
      case 'open':
        this.#handles.set(step.handle, this.#file(step.path));
        return 'ok';
      case 'close':
        return this.#handles.delete(step.handle) ? 'ok' : 'EBADF';
      case 'write':
      case 'read':
      case 'resize':
      case 'reserve':
      case 'punch':
      case 'zero':
        return runOnFile(this.#file(step.file), step);
      default:
        return unreachable(step);
    }
  }

  #add(path: string, node: Node): string {
    const { parent, name } = this.#place(path);
    if (parent.children.has(name)) refuseStep('EEXIST');
    parent.children.set(name, node);
    return 'ok';
  }

  #link(path: string, to: string): string {
    const node = this.#node(path);
    const { parent, name } = this.#place(to);
    if (parent.children.has(name)) refuseStep('EEXIST');
    if (node.kind === 'directory') refuseStep('EPERM');
    node.nlink += 1;
    parent.children.set(name, node);
    return 'ok';
  }

  #remove(path: string, isFile: boolean): string {
    const { parent, name } = this.#place(path);
    const node = parent.children.get(name) ?? refuseStep('ENOENT');
    if (isFile && node.kind === 'directory') refuseStep('EISDIR');
    if (!isFile && node.kind !== 'directory') refuseStep('ENOTDIR');
    if (node.children.size > 0) refuseStep('ENOTEMPTY');
    parent.children.delete(name);
    node.nlink -= 1;
    return 'ok';
  }

  #rename({ path, to, op }: { path: string; to: string; op: string }): string {
    const from = this.#place(path);
    const into = this.#place(to);
    const source = from.parent.children.get(from.name) ?? refuseStep('ENOENT');
    const target = into.parent.children.get(into.name);
    if (target && op === 'renameFresh') refuseStep('EEXIST');
    if (!target && op === 'exchange') refuseStep('ENOENT');
    if (source === target) return 'ok';
    if (to.startsWith(`${path}/`)) refuseStep('EINVAL');
    if (target && op === 'exchange') {
      if (path.startsWith(`${to}/`)) refuseStep('EINVAL');
      from.parent.children.set(from.name, target);
      into.parent.children.set(into.name, source);
      return 'ok';
    }
    if (target) {
      if (path.startsWith(`${to}/`)) refuseStep('ENOTEMPTY');
      if (source.kind === 'directory' && target.kind !== 'directory') refuseStep('ENOTDIR');
      if (source.kind !== 'directory' && target.kind === 'directory') refuseStep('EISDIR');
      if (target.children.size > 0) refuseStep('ENOTEMPTY');
      target.nlink -= 1;
    }
    from.parent.children.delete(from.name);
    into.parent.children.set(into.name, source);
    return 'ok';
  }

  #place(path: string): { parent: Node; name: string } {
    const cut = path.lastIndexOf('/');
    const parent = cut < 0 ? this.#root : this.#node(path.slice(0, cut));
    if (parent.kind !== 'directory') refuseStep('ENOTDIR');
    return { parent, name: path.slice(cut + 1) };
  }

  #node(path: string): Node {
    const { parent, name } = this.#place(path);
    return parent.children.get(name) ?? refuseStep('ENOENT');
  }

  /** Links point nowhere, so following one fails; the other actors say ELOOP as well. */
  #followed(path: string): Node {
    const node = this.#node(path);
    if (node.kind === 'symlink') refuseStep('ELOOP');
    return node;
  }

  #file(file: FileReference): Node {
    if (typeof file === 'number') return this.#handles.get(file) ?? refuseStep('EBADF');
    const node = this.#followed(file);
    return node.kind === 'file' ? node : refuseStep('EISDIR');
  }
}

type FileStep = Extract<Step, { file: FileReference }>;

function runOnFile(node: Node, step: FileStep): string {
  switch (step.op) {
    case 'write': {
      resize(node, Math.max(node.bytes.length, step.offset + step.length));
      node.bytes.set(contentOf(step), step.offset);
      return 'ok';
    }
    case 'read': {
      const bytes = node.bytes.subarray(step.offset, step.offset + step.length);
      return `${bytes.length} ${crc32(bytes)}`;
    }
    case 'resize':
      resize(node, step.size);
      return 'ok';
    case 'reserve':
    case 'punch':
    case 'zero': {
      if (!step.keepSize) resize(node, Math.max(node.bytes.length, step.offset + step.length));
      if (step.op !== 'reserve') node.bytes.fill(0, step.offset, step.offset + step.length);
      return 'ok';
    }
    default:
      return unreachable(step);
  }
}

function resize(node: Node, length: number): void {
  if (length === node.bytes.length) return;
  const bytes = new Uint8Array(length);
  bytes.set(node.bytes.subarray(0, length));
  node.bytes = bytes;
}

function makeNode(kind: Node['kind'], mode: number): Node {
  return { kind, mode, nlink: 1, bytes: new Uint8Array(0), target: '', children: new Map() };
}

function describe(node: Node, path: string): string {
  const mode = node.mode.toString(8);
  if (node.kind === 'directory') return `${path} directory ${mode}`;
  if (node.kind === 'symlink') return `${path} symlink ${node.nlink} ${node.target}`;
  return `${path} file ${mode} ${node.nlink} ${node.bytes.length} ${crc32(node.bytes)}`;
}
