/** `rokka status`: asks the running supervisor, once or again and again. */
import { systemClock } from '@rokka/kernel';
import type { Arguments } from '../arguments.ts';
import { askControl, CONTROL } from '../control.ts';
import { describeJoined, describeStatus, type JoinedStatus, type SupervisorStatus } from '../status.ts';
import { Terminal } from '../terminal.ts';

const WATCH_MS = 1_000;

export async function status(args: Arguments): Promise<number> {
  const terminal = new Terminal();
  const stopped = new AbortController();
  process.once('SIGINT', () => stopped.abort(new Error('stopped')));
  for (;;) {
    const answer = await askControl<SupervisorStatus | JoinedStatus>(args.dataDirectory, CONTROL.STATUS);
    if (args.watch && !args.json) terminal.home();
    if ('joined' in answer) terminal.line(args.json ? JSON.stringify(answer) : describeJoined(answer));
    else if (args.json) terminal.line(JSON.stringify({ ...answer, shipped: answer.head.detail?.shipped }));
    else terminal.line(describeStatus(answer));
    if (!args.watch) return 0;
    try {
      await systemClock.sleep(WATCH_MS, stopped.signal);
    } catch {
      return 0; // Ctrl-C is how one leaves a watch.
    }
  }
}
