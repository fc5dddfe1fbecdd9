/** `rokka stop`: tells the running supervisor to end, and waits until it has. */
import { systemClock } from '@rokka/kernel';
import type { Arguments } from '../arguments.ts';
import { askControl, CONTROL } from '../control.ts';
import { isHeld } from '../data-directory.ts';
import { rokkaErrors } from '../errors.ts';
import { Terminal } from '../terminal.ts';

const STOP_MS = 150_000;
const LOOK_AGAIN_MS = 50;

export async function stop(args: Arguments): Promise<number> {
  const terminal = new Terminal();
  const { pid } = await askControl<{ pid: number }>(args.dataDirectory, CONTROL.STOP);
  terminal.progress(`stopping process ${pid}`);
  const startedMs = systemClock.nowMs();
  while (isHeld(args.dataDirectory)) {
    if (systemClock.nowMs() - startedMs > STOP_MS) throw rokkaErrors.ROKKA_STOP_LATE([pid, STOP_MS]);
    await systemClock.sleep(LOOK_AGAIN_MS);
  }
  terminal.line('stopped');
  return 0;
}
