/**
 * One function for each operation of the protocol: takes the request apart, asks the handler, fills the reply. Each runs
 * again from the start when the handler was not ready, so nothing may change before the handler's last throwing call.
 *
 * What has no function here is answered ENOSYS; the kernel then stops asking and falls back (xattrs do not exist, SEEK_HOLE
 * finds data everywhere, copy_file_range copies through memory). FSYNC and FSYNCDIR may never be answered so: the kernel
 * would take every later fsync for done without asking.
 */
import type { AttributeChange, Creation, FuseHandler } from './handler.ts';
import type { LookupCounts } from './lookup-counts.ts';
import type { OpenCounts } from './open-counts.ts';
import {
  ERRNO,
  FALLOC_KEEP_SIZE,
  FALLOC_PUNCH_HOLE,
  FALLOC_ZERO_RANGE,
  FATTR,
  FSYNC_DATA_ONLY,
  O_DSYNC,
  O_EXCL,
  O_TRUNC,
  OPCODE,
  OPEN_KILL_SUIDGID,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  S_PERMISSIONS,
  STRUCT_BYTES,
  SYNC_WITH_METADATA,
  WRITE_KILL_SUIDGID,
} from './protocol.ts';
import type { FuseReply } from './reply.ts';
import type { FuseRequest } from './request.ts';

export interface OperationContext {
  readonly handler: FuseHandler;
  readonly lookups: LookupCounts;
  readonly opens: OpenCounts;
  /** FOPEN flags for regular files. */
  readonly openFlags: number;
}

/** The reply is sent at once, or after the promise that is returned. */
export type Operation = (
  context: OperationContext,
  request: FuseRequest,
  reply: FuseReply,
) => Promise<void> | undefined | void;

export const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [OPCODE.LOOKUP, lookup],
  [OPCODE.GETATTR, ({ handler }, request, reply) => reply.attributes(handler.attributes(request.nodeId))],
  [OPCODE.SETATTR, setAttributes],
  [OPCODE.READLINK, ({ handler }, request, reply) => reply.text(handler.readlink(request.nodeId))],
  [OPCODE.SYMLINK, symlink],
  [OPCODE.MKNOD, makeNode],
  [OPCODE.MKDIR, makeDirectory],
  [OPCODE.UNLINK, ({ handler }, request) => handler.unlink(request.nodeId, request.name(0))],
  [OPCODE.RMDIR, ({ handler }, request) => handler.removeDirectory(request.nodeId, request.name(0))],
  [OPCODE.RENAME, rename],
  [OPCODE.RENAME2, rename],
  [OPCODE.LINK, link],
  [OPCODE.OPEN, open],
  [OPCODE.CREATE, create],
  [OPCODE.READ, read],
  [OPCODE.WRITE, write],
  [OPCODE.RELEASE, release],
  [OPCODE.STATFS, ({ handler }, _request, reply) => reply.statFs(handler.statistics())],
  [OPCODE.FSYNC, sync],
  [OPCODE.FSYNCDIR, sync],
  [OPCODE.SYNCFS, ({ handler }) => handler.syncAll()],
  // close(2) promises nothing about durability, so FLUSH has nothing to do.
  [OPCODE.FLUSH, () => {}],
  [OPCODE.OPENDIR, openDirectory],
  [OPCODE.RELEASEDIR, release],
  [OPCODE.READDIR, (context, request, reply) => list(context, request, reply)],
  [OPCODE.READDIRPLUS, listPlus],
  [OPCODE.FALLOCATE, allocate],
  [OPCODE.IOCTL, (_context, _request, reply) => reply.error(ERRNO.ENOTTY)],
  // An interrupted wait for durability would give a database EINTR from fsync, which PostgreSQL takes for lost data.
  [OPCODE.INTERRUPT, (_context, _request, reply) => reply.none()],
  [OPCODE.NOTIFY_REPLY, (_context, _request, reply) => reply.none()],
  [OPCODE.DESTROY, () => {}],
]);

function lookup({ handler, lookups }: OperationContext, request: FuseRequest, reply: FuseReply): void {
  let found;
  try {
    found = handler.lookup(request.nodeId, request.name(0));
  } catch (error) {
    if (handler.errnoOf(error) !== ERRNO.ENOENT) throw error;
    return reply.noEntry();
  }
  lookups.add(found.ino);
  reply.entry(found);
}

/** struct fuse_setattr_in. "Now" comes with the kernel's own time filled in, so the NOW flags need no care. */
function setAttributes({ handler }: OperationContext, request: FuseRequest, reply: FuseReply): void {
  const valid = request.bodyU32(0);
  const change: AttributeChange = {};
  if (valid & FATTR.MODE) change.mode = request.bodyU32(68) & S_PERMISSIONS;
  if (valid & FATTR.UID) change.uid = request.bodyU32(76);
  if (valid & FATTR.GID) change.gid = request.bodyU32(80);
  if (valid & FATTR.SIZE) change.sizeBytes = request.bodyU64(16);
  if (valid & FATTR.ATIME) change.atime = request.bodyTime(32, 56);
  if (valid & FATTR.MTIME) change.mtime = request.bodyTime(40, 60);
  if (valid & FATTR.KILL_SUIDGID) change.killSetId = true;
  reply.attributes(handler.setAttributes(request.nodeId, change));
}

function symlink({ handler, lookups }: OperationContext, request: FuseRequest, reply: FuseReply): void {
  const name = request.name(0);
  const target = request.name(name.length + 1);
  const made = handler.symlink(request.nodeId, name, target, { uid: request.uid, gid: request.gid });
  lookups.add(made.ino);
  reply.entry(made);
}

function makeNode({ handler, lookups }: OperationContext, request: FuseRequest, reply: FuseReply): void {
  const made = handler.makeNode(request.nodeId, request.name(16), creation(request, request.bodyU32(0)));
  lookups.add(made.ino);
  reply.entry(made);
}

function makeDirectory({ handler, lookups }: OperationContext, request: FuseRequest, reply: FuseReply): void {
  const made = handler.makeDirectory(request.nodeId, request.name(8), creation(request, request.bodyU32(0)));
  lookups.add(made.ino);
  reply.entry(made);
}

/** RENAME has struct fuse_rename_in (8 bytes), RENAME2 fuse_rename2_in (16 bytes, with flags). */
function rename({ handler }: OperationContext, request: FuseRequest, reply: FuseReply): void {
  const second = request.opcode === OPCODE.RENAME2;
  const flags = second ? request.bodyU32(8) : 0;
  if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) return reply.error(ERRNO.EINVAL);
  const namesAt = second ? 16 : 8;
  const name = request.name(namesAt);
  const newName = request.name(namesAt + name.length + 1);
  handler.rename(
    { parent: request.nodeId, name },
    { parent: request.bodyU64(0), name: newName },
    { noReplace: (flags & RENAME_NOREPLACE) !== 0, exchange: (flags & RENAME_EXCHANGE) !== 0 },
  );
}

function link({ handler, lookups }: OperationContext, request: FuseRequest, reply: FuseReply): void {
  const linked = handler.link(request.bodyU64(0), request.nodeId, request.name(8));
  lookups.add(linked.ino);
  reply.entry(linked);
}

function open({ handler, opens, openFlags }: OperationContext, request: FuseRequest, reply: FuseReply): void {
  handler.open(request.nodeId, {
    truncate: (request.bodyU32(0) & O_TRUNC) !== 0,
    killSetId: (request.bodyU32(4) & OPEN_KILL_SUIDGID) !== 0,
  });
  opens.opened(request.nodeId, request.unique);
  reply.opened(openFlags);
}

function release({ handler, opens }: OperationContext, request: FuseRequest): void {
  handler.release(request.nodeId);
  opens.released(request.nodeId, request.unique);
}

/** Counted like a file's opening, so that a directory that is removed meanwhile can still be asked for its attributes. */
function openDirectory({ handler, opens }: OperationContext, request: FuseRequest, reply: FuseReply): void {
  handler.open(request.nodeId, { truncate: false, killSetId: false });
  opens.opened(request.nodeId, request.unique);
  reply.opened(0);
}

function create(context: OperationContext, request: FuseRequest, reply: FuseReply): void {
  const flags = request.bodyU32(0);
  const made = context.handler.create(
    request.nodeId,
    request.name(16),
    creation(request, request.bodyU32(4)),
    {
      exclusive: (flags & O_EXCL) !== 0,
      truncate: (flags & O_TRUNC) !== 0,
      killSetId: (request.bodyU32(12) & OPEN_KILL_SUIDGID) !== 0,
    },
  );
  context.lookups.add(made.ino);
  context.opens.opened(made.ino, request.unique);
  reply.created(made, context.openFlags);
}

function read({ handler }: OperationContext, request: FuseRequest, reply: FuseReply): void {
  const into = reply.room(request.bodyU32(16));
  reply.data(handler.read(request.nodeId, request.bodyU64(8), into));
}

/**
 * A write is answered when the filesystem has applied it. One through a file opened with O_DSYNC or O_SYNC is answered when
 * it is durable: for direct I/O the kernel sends no FSYNC of its own behind it (fs/fuse/file.c, fuse_direct_write_iter).
 */
function write(
  { handler }: OperationContext,
  request: FuseRequest,
  reply: FuseReply,
): Promise<void> | undefined {
  const sizeBytes = request.bodyU32(16);
  const killSetId = (request.bodyU32(20) & WRITE_KILL_SUIDGID) !== 0;
  handler.write(request.nodeId, request.bodyU64(8), request.writeData(sizeBytes), killSetId);
  reply.written(sizeBytes);
  const flags = request.bodyU32(32);
  return flags & O_DSYNC ? handler.sync(request.nodeId, (flags & SYNC_WITH_METADATA) === 0) : undefined;
}

function sync({ handler }: OperationContext, request: FuseRequest): Promise<void> | undefined {
  return handler.sync(request.nodeId, (request.bodyU32(8) & FSYNC_DATA_ONLY) !== 0);
}

function list({ handler }: OperationContext, request: FuseRequest, reply: FuseReply): void {
  const roomBytes = request.bodyU32(16);
  const entriesMax = Math.ceil(roomBytes / STRUCT_BYTES.DIRENT);
  for (const entry of handler.list(request.nodeId, request.bodyU64(8), entriesMax))
    if (!reply.appendEntry(entry, { roomBytes })) return;
}

/** Each entry but "." and ".." counts as a lookup (fs/fuse/readdir.c, fuse_direntplus_link). */
function listPlus({ handler, lookups }: OperationContext, request: FuseRequest, reply: FuseReply): void {
  const roomBytes = request.bodyU32(16);
  const entriesMax = Math.ceil(roomBytes / (STRUCT_BYTES.ENTRY_OUT + STRUCT_BYTES.DIRENT));
  const given: number[] = [];
  for (const entry of handler.list(request.nodeId, request.bodyU64(8), entriesMax)) {
    const dots = entry.name === '.' || entry.name === '..';
    const plus = dots ? 'none' : handler.attributes(entry.ino);
    if (!reply.appendEntry(entry, { roomBytes, plus })) break;
    if (!dots) given.push(entry.ino);
  }
  for (const ino of given) lookups.add(ino);
}

function allocate({ handler }: OperationContext, request: FuseRequest, reply: FuseReply): void {
  const mode = request.bodyU32(24);
  if (mode & ~(FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE))
    return reply.error(ERRNO.EOPNOTSUPP);
  handler.allocate(request.nodeId, {
    offset: request.bodyU64(8),
    length: request.bodyU64(16),
    keepSize: (mode & FALLOC_KEEP_SIZE) !== 0,
    punchHole: (mode & FALLOC_PUNCH_HOLE) !== 0,
    zeroRange: (mode & FALLOC_ZERO_RANGE) !== 0,
  });
}

function creation(request: FuseRequest, mode: number): Creation {
  return { mode, uid: request.uid, gid: request.gid };
}
