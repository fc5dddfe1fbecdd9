/**
 * `aws:runShellScript`: lines for `sh`, as this machine's root, or whoever runs Rokka. Off unless `rokka up --allow-shell` allows it: who
 * may send commands would own the machine.
 *
 * The script is a process group of its own, which ends as a whole when the step's time is over. The shell itself does not outlive the agent; what
 * it has started in the background may.
 */
import { spawn } from 'node:child_process';
import { Deferred, systemClock } from '@rokka/kernel';
import type { Action, ActionInput, ActionResult } from '../action.ts';
import { failed } from '../action.ts';
import { linesOf, textOf } from '../inputs.ts';

const STDERR_CHARACTERS_MAX = 8_000;
/** For what a script that has ended wrote last. */
const LAST_OUTPUT_MS = 500;
/** As a shell says it of a signal. */
const SIGNALLED = 137;

export function runShellScript({ isAllowed }: { isAllowed: boolean }): Action {
  return {
    async run(input: ActionInput): Promise<ActionResult> {
      if (!isAllowed)
        return failed('this machine runs no scripts: start Rokka on it with --allow-shell to change that');
      return runScript(input);
    },
    recover: async () => 'The script may have run in part.',
  };
}

async function runScript({ inputs, signal, say }: ActionInput): Promise<ActionResult> {
  const script = linesOf(inputs, 'runCommand').join('\n');
  const cwd = textOf(inputs, 'workingDirectory') || '/';
  const args = ['--pdeathsig', 'KILL', '--', 'sh', '-c', script];
  const child = spawn('setpriv', args, { cwd, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Deferred<{ code: number | null }>();
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', say);
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    if (stderr.length < STDERR_CHARACTERS_MAX) stderr += text;
  });
  child.on('error', (error) => ended.reject(error));
  child.on('close', (code) => ended.resolve({ code }));
  // What the script has started in the background may have its output open for ever.
  child.on('exit', (code) => systemClock.after(LAST_OUTPUT_MS, () => ended.resolve({ code })));
  const kill = () => {
    if (child.pid !== undefined) killGroup(child.pid);
  };
  signal.addEventListener('abort', kill, { once: true });
  if (signal.aborted) kill();
  try {
    const { code } = await ended.promise;
    const why = signal.aborted ? `${(signal.reason as Error).message}\n` : '';
    return { succeeded: code === 0, responseCode: code ?? SIGNALLED, stderr: why + stderr };
  } catch (error) {
    return failed(`the script cannot be started in ${cwd}: ${(error as Error).message}`);
  } finally {
    signal.removeEventListener('abort', kill);
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

/** With whatever it has started. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
