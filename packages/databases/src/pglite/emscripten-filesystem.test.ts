import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError, SeededRandom, VirtualClock } from '@rokka/kernel';
import { FileSystem, ROOT_INO } from '@rokka/filesystem';
import { MemoryPageStore, type NotReady } from '@rokka/volume';
import { DataDirectory } from './data-directory.ts';
import { emscriptenFilesystem } from './emscripten-filesystem.ts';
import type { PgliteModule } from './pglite-module.ts';

class ErrnoError extends Error {
  readonly errno: number;

  constructor(errno: number) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

// oxlint-disable-next-line typescript/no-explicit-any
type Any = any;

function mounted() {
  const store = new MemoryPageStore({ pagesPerGroup: 64 });
  const clock = new VirtualClock();
  const provide = (lacking: NotReady) => void store.prepare(lacking);
  FileSystem.format(store, { clock, random: new SeededRandom(1) });
  const files = FileSystem.mount(store, { clock });
  const polls = { count: 0 };
  const module = {
    FS: {
      ErrnoError,
      isDir: (mode: number) => (mode & 0o170000) === 0o040000,
      createNode: (parent: unknown, name: string, mode: number) => ({ parent, name, mode }),
    },
  } as unknown as PgliteModule;
  const halt = (error: unknown): never => {
    throw new Error(`halted: ${String(error)}`);
  };
  const type = emscriptenFilesystem(module, {
    files,
    root: ROOT_INO,
    provide,
    poll: () => polls.count++,
    halt,
  }) as Any;
  return { store, files, provide, root: type.mount(), polls };
}

const bytes = (text: string) => new TextEncoder().encode(text);

function make(parent: Any, name: string): Any {
  const node = parent.node_ops.mknod(parent, name, 0o100600);
  const stream = { node, position: 0 };
  node.stream_ops.open(stream);
  return stream;
}

test('files: made, written at offsets of the heap, read, resized, renamed over another', () => {
  const { root, polls } = mounted();
  const file = make(root, 'größe');
  const heap = bytes('..hello..');
  assert.equal(file.node.stream_ops.write(file, heap, 2, 5, 8190), 5);
  const into = new Uint8Array(10);
  assert.equal(file.node.stream_ops.read(file, into, 1, 9, 8189), 6);
  assert.deepEqual([...into], [0, 0, ...bytes('hello'), 0, 0, 0]);
  assert.equal(file.node.node_ops.getattr(file.node).size, 8195);
  assert.equal(file.node.stream_ops.llseek(file, -5, 2), 8190);
  file.node.node_ops.setattr(file.node, { size: 10 });
  assert.equal(file.node.node_ops.getattr(file.node).size, 10);
  make(root, 'other');
  file.node.name = 'größe';
  root.node_ops.rename(file.node, root, 'other');
  assert.deepEqual(root.node_ops.readdir(root), ['.', '..', 'other']);
  assert.equal(file.node.name, 'other');
  assert.ok(polls.count > 5);
});

test('an open file outlives its name', () => {
  const { root, files } = mounted();
  const file = make(root, 'gone');
  file.node.stream_ops.write(file, bytes('kept'), 0, 4, 0);
  root.node_ops.unlink(root, 'gone');
  const into = new Uint8Array(4);
  assert.equal(file.node.stream_ops.read(file, into, 0, 4, 0), 4);
  assert.deepEqual(into, bytes('kept'));
  file.node.stream_ops.close(file);
  assert.throws(() => files.attributes(file.node.ino), { code: 'ESTALE' });
});

test('refusals are errors of Emscripten with its own numbers', () => {
  const { root } = mounted();
  const directory = root.node_ops.mknod(root, 'd', 0o040700);
  make(directory, 'f');
  const errno = (run: () => unknown) => {
    try {
      run();
    } catch (error) {
      assert.ok(error instanceof ErrnoError);
      return error.errno;
    }
    return assert.fail('no error');
  };
  assert.equal(
    errno(() => root.node_ops.lookup(root, 'none')),
    44,
  );
  assert.equal(
    errno(() => root.node_ops.mknod(root, 'd', 0o100600)),
    20,
  );
  assert.equal(
    errno(() => root.node_ops.rmdir(root, 'd')),
    55,
  );
  assert.equal(
    errno(() => root.node_ops.unlink(root, 'd')),
    31,
  );
  assert.equal(
    errno(() => root.node_ops.mknod(root, 'x'.repeat(300), 0o100600)),
    37,
  );
  assert.equal(directory.stream_ops.llseek({ node: directory, position: 3 }, 2, 1), 5);
});

test('what the volume cannot do is an errno, what must not happen halts', () => {
  const { root, store } = mounted();
  const file = make(root, 'f');
  const write = () => file.node.stream_ops.write(file, bytes('x'), 0, 1, 0);
  const failing = (error: Error) => {
    store.apply = () => {
      throw error;
    };
  };
  failing(new CodedError('VOLUME_FULL', 'full'));
  assert.throws(write, { errno: 51 });
  failing(new CodedError('VOLUME_UNREADABLE', 'no quorum'));
  assert.throws(write, { errno: 29 });
  failing(new CodedError('VOLUME_FENCED', 'taken over'));
  assert.throws(write, /halted: CodedError: taken over/);
  failing(new TypeError('a bug'));
  assert.throws(write, /halted: TypeError/);
});

test('a data directory without its mark is cleared, and the mark is found whole after any crash', () => {
  const { files, provide, store } = mounted();
  const directory = new DataDirectory(files, provide);
  assert.equal(directory.mark(), undefined);
  const ino = directory.clear();
  const { ino: sub } = files.makeDirectory(ino, 'base', { mode: 0o700, uid: 0, gid: 0 });
  files.create(sub, 'left', { mode: 0o600, uid: 0, gid: 0 });
  assert.notEqual(directory.clear(), ino);
  assert.deepEqual(
    files.list(directory.open()).map(({ name }) => name),
    ['.', '..'],
  );
  const mark = { postgresMajor: 18, user: 'postgres', database: 'postgres' };
  const from = store.history.length;
  directory.setMark(mark);
  for (let count = from; count <= store.history.length; count++) {
    const crashed = MemoryPageStore.replay(store.history, count, { pagesPerGroup: 64 });
    const after = new DataDirectory(FileSystem.mount(crashed, { clock: new VirtualClock() }), provide);
    assert.deepEqual(after.mark(), count === store.history.length ? mark : undefined);
  }
});

test('a lock file that a crash left empty is removed, one with words in it is PostgreSQL’s own affair', () => {
  const { files, provide } = mounted();
  const directory = new DataDirectory(files, provide);
  const lock = { mode: 0o600, uid: 0, gid: 0 };
  const { ino } = files.create(directory.clear(), 'postmaster.pid', lock);
  files.write(ino, 0, new TextEncoder().encode('42\n'));
  const names = () => files.list(directory.open()).map(({ name }) => name);
  assert.deepEqual(names(), ['.', '..', 'postmaster.pid']);
  files.setAttributes(ino, { sizeBytes: 0 });
  assert.deepEqual(names(), ['.', '..']);
});
