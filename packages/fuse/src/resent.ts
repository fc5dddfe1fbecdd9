/**
 * Answers to requests that a server before this one has carried out and not answered: the last one of each server, and writes that
 * waited to be durable. Names are as they were then: the kernel holds the directory's lock until the answer. What does the same when it
 * is done twice, whatever came meanwhile, has no function here.
 */
import type { Legacy } from './legacy.ts';
import type { Operation, OperationContext } from './operations.ts';
import { OPCODE } from './protocol.ts';
import type { FuseReply } from './reply.ts';
import type { FuseRequest } from './request.ts';

/** Undefined where the request is to be carried out like any other. */
export function answerWithout(request: FuseRequest, { changes, opens }: Legacy): Operation | undefined {
  if (!request.isResent) return undefined;
  const { opcode, unique } = request;
  if (opens.isCounted(unique)) return COUNTED.get(opcode);
  return changes.isSettled(unique) ? SETTLED.get(opcode) : undefined;
}

const NOTHING: Operation = () => {};

/** Openings and their ends that stand in the file already. */
const COUNTED: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [OPCODE.OPEN, ({ openFlags }, _request, reply) => reply.opened(openFlags)],
  [OPCODE.CREATE, created],
  [OPCODE.OPENDIR, (_context, _request, reply) => reply.opened(0)],
  [OPCODE.RELEASE, NOTHING],
  [OPCODE.RELEASEDIR, NOTHING],
]);

/** Changes of names that are in the filesystem already. */
const SETTLED: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [OPCODE.CREATE, created],
  [OPCODE.MKNOD, (context, request, reply) => entry(context, { request, reply, name: request.name(16) })],
  [OPCODE.MKDIR, (context, request, reply) => entry(context, { request, reply, name: request.name(8) })],
  [OPCODE.SYMLINK, (context, request, reply) => entry(context, { request, reply, name: request.name(0) })],
  [OPCODE.LINK, (context, request, reply) => entry(context, { request, reply, name: request.name(8) })],
  [OPCODE.UNLINK, NOTHING],
  [OPCODE.RMDIR, NOTHING],
  [OPCODE.RENAME, NOTHING],
  [OPCODE.RENAME2, NOTHING],
  // What had lost its name went with its last opening.
  [OPCODE.RELEASE, released],
  [OPCODE.RELEASEDIR, released],
  // All that was taken over is durable. Somebody may have seen it, and have written over it since.
  [OPCODE.WRITE, (_context, request, reply) => reply.written(request.bodyU32(16))],
]);

function entry(
  { handler, lookups }: OperationContext,
  of: { request: FuseRequest; reply: FuseReply; name: string },
): void {
  const found = handler.lookup(of.request.nodeId, of.name);
  lookups.add(found.ino);
  of.reply.entry(found);
}

function created(context: OperationContext, request: FuseRequest, reply: FuseReply): void {
  const { handler, lookups, opens, openFlags } = context;
  const made = handler.lookup(request.nodeId, request.name(16));
  if (!opens.isCounted(request.unique)) {
    handler.open(made.ino, { truncate: false, killSetId: false });
    opens.opened(made.ino, request.unique);
  }
  lookups.add(made.ino);
  reply.created(made, openFlags);
}

function released({ opens }: OperationContext, { nodeId, unique }: FuseRequest): void {
  opens.released(nodeId, unique);
}
