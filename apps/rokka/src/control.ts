/** How `status` and `stop` talk to a running `up`: one request and one answer over a socket in the data directory. */
import { isCoded, systemClock } from '@rokka/kernel';
import { Caller, type Listener, unixNetwork } from '@rokka/transport';
import { dataPaths, holderOf, isHeld } from './data-directory.ts';
import { rokkaErrors } from './errors.ts';

export const CONTROL = { STATUS: 1, STOP: 2, OK: 100, ERROR: 101 } as const;

export interface ControlHandlers {
  status(): Promise<unknown>;
  stop(): void;
}

const TIMEOUT_MS = 10_000;

/** Listens until disposed. */
export function listenForControl(directory: string, handlers: ControlHandlers): Promise<Listener> {
  return unixNetwork({ clock: systemClock }).listen(dataPaths.control(directory), () => ({
    onClose: () => {},
    onFrame: (connection, { type, requestId }) => {
      const answer = (kind: number, value: unknown) =>
        connection.send(kind, requestId, [Buffer.from(JSON.stringify(value ?? null))]);
      if (type === CONTROL.STOP) {
        answer(CONTROL.OK, { pid: process.pid });
        handlers.stop();
      } else if (type === CONTROL.STATUS) {
        void handlers.status().then(
          (value) => answer(CONTROL.OK, value),
          (error: unknown) => answer(CONTROL.ERROR, { message: String(error) }),
        );
      } else answer(CONTROL.ERROR, { message: `no request of type ${type}` });
    },
  }));
}

/** @throws ROKKA_NOT_RUNNING, ROKKA_STARTING, ROKKA_CONTROL_FAILED */
export async function askControl<T>(directory: string, type: number): Promise<T> {
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
    const answer = await caller.call(type, [], { timeoutMs: TIMEOUT_MS });
    const value = JSON.parse(Buffer.from(answer.body).toString()) as T;
    if (answer.type === CONTROL.ERROR) {
      throw rokkaErrors.ROKKA_CONTROL_FAILED([directory, (value as { message: string }).message]);
    }
    return value;
  } finally {
    caller.connection.close();
  }
}
