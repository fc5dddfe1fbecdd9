/** How `status` and `stop` talk to a running `up`: one request and one answer over a socket in the data directory. */
import { CodedError, isCoded, systemClock } from '@rokka/kernel';
import { Caller, type Listener, unixNetwork } from '@rokka/transport';
import type { DatabaseRequest } from './commands/database.ts';
import type { NodeRequest } from './commands/node.ts';
import type { PastRequest } from './databases/database-past.ts';
import { dataPaths, holderOf, isHeld } from './data-directory.ts';
import { rokkaErrors } from './errors.ts';
import type { TokenRequest } from './machines/many-machines.ts';

export const CONTROL = {
  STATUS: 1,
  STOP: 2,
  NODE: 3,
  TOKEN: 4,
  DATABASE: 5,
  PAST: 6,
  OK: 100,
  ERROR: 101,
} as const;

export interface ControlHandlers {
  status(): Promise<unknown>;
  stop(): void;
  node(request: NodeRequest): Promise<unknown>;
  token(request: TokenRequest): Promise<unknown>;
  database(request: DatabaseRequest): Promise<unknown>;
  past(request: PastRequest): Promise<unknown>;
}

/** A node that is added has to start. */
const TIMEOUT_MS = 60_000;

/** Listens until disposed. */
export function listenForControl(directory: string, handlers: ControlHandlers): Promise<Listener> {
  return unixNetwork({ clock: systemClock }).listen(dataPaths.control(directory), () => ({
    onClose: () => {},
    onFrame: (connection, { type, requestId, body }) => {
      const answer = (kind: number, value: unknown) =>
        connection.send(kind, requestId, [Buffer.from(JSON.stringify(value ?? null))]);
      if (type === CONTROL.STOP) {
        answer(CONTROL.OK, { pid: process.pid });
        handlers.stop();
        return;
      }
      void answerTo(type, body, handlers).then(
        (value) => answer(CONTROL.OK, value),
        (error: unknown) =>
          answer(CONTROL.ERROR, {
            ...(isCoded(error) ? { code: error.code } : {}),
            message: isCoded(error) ? error.message : String(error),
          }),
      );
    },
  }));
}

async function answerTo(type: number, body: Uint8Array, handlers: ControlHandlers): Promise<unknown> {
  const request = (): unknown => JSON.parse(Buffer.from(body).toString());
  if (type === CONTROL.STATUS) return handlers.status();
  if (type === CONTROL.NODE) return handlers.node(request() as NodeRequest);
  if (type === CONTROL.TOKEN) return handlers.token(request() as TokenRequest);
  if (type === CONTROL.DATABASE) return handlers.database(request() as DatabaseRequest);
  if (type === CONTROL.PAST) return handlers.past(request() as PastRequest);
  throw new Error(`no request of type ${type}`);
}

/** @throws ROKKA_NOT_RUNNING, ROKKA_STARTING, ROKKA_CONTROL_FAILED, and the coded error that it answered */
export async function askControl<T>(directory: string, type: number, request?: unknown): Promise<T> {
  let caller: Caller;
  try {
    caller = await Caller.connect(unixNetwork({ clock: systemClock }), dataPaths.control(directory), {
      clock: systemClock,
      timeoutMs: TIMEOUT_MS,
    });
  } catch (error) {
    if (!isCoded(error, 'TRANSPORT_UNREACHABLE')) throw error;
    const { ROKKA_STARTING, ROKKA_NOT_RUNNING } = rokkaErrors;
    if (isHeld(directory)) throw ROKKA_STARTING([directory, holderOf(directory)], { cause: error });
    throw ROKKA_NOT_RUNNING([directory], { cause: error });
  }
  try {
    const body = request === undefined ? [] : [Buffer.from(JSON.stringify(request))];
    const answer = await caller.call(type, body, { timeoutMs: TIMEOUT_MS });
    const value = JSON.parse(Buffer.from(answer.body).toString()) as T;
    if (answer.type === CONTROL.ERROR) {
      const { code, message } = value as { code?: string; message: string };
      if (code !== undefined) throw new CodedError(code, message);
      throw rokkaErrors.ROKKA_CONTROL_FAILED([directory, message]);
    }
    return value;
  } finally {
    caller.connection.close();
  }
}
