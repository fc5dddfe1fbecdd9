/**
 * One document on this machine, from its first step to its end. What each step has come to is told to the desk before the next one begins, so
 * that whoever comes after a crash goes on there. A step that was cut short is not run again: it may have done half of what it
 * does. It has failed, and its action undoes what it left.
 */
import { AssertionError, type Clock, describeError, isCoded, must } from '@rokka/kernel';
import {
  type CommandDesk,
  type Delivery,
  type DocumentStep,
  type StepResult,
  stepSeconds,
} from '@rokka/services';
import type { Action, ActionInput, ActionResult, Actions } from './action.ts';
import { failed } from './action.ts';
import { type Next, nextOf, type Skipped, type Stopped } from './document-course.ts';

const CANCEL_LOOK_MS = 1_000;
const SECOND_MS = 1_000;
/** The desk keeps less. */
const OUTPUT_CHARACTERS_MAX = 24_000;

export interface InvocationOptions {
  readonly desk: Pick<CommandDesk, 'isCancelled' | 'report' | 'end'>;
  readonly actions: Actions;
  readonly clock: Clock;
  /** The agent ends: what runs is cut short, and nothing more is told. */
  readonly signal: AbortSignal;
}

/** Resolves when the desk knows how it ended. @throws errors of the registry; the signal's reason */
export async function carryOut(delivery: Delivery, options: InvocationOptions): Promise<void> {
  const run = new Invocation(delivery, options);
  await run.goOn();
}

class Invocation {
  readonly #delivery: Delivery;
  readonly #options: InvocationOptions;
  readonly #results: StepResult[];
  #stopped: Stopped | undefined;

  constructor(delivery: Delivery, options: InvocationOptions) {
    this.#delivery = delivery;
    this.#options = options;
    this.#results = [...delivery.steps];
  }

  async goOn(): Promise<void> {
    const { desk, signal } = this.#options;
    const { steps } = this.#delivery.document;
    await this.#recover();
    for (;;) {
      signal.throwIfAborted();
      await this.#lookAround();
      const next = nextOf(steps, this.#results, this.#stopped);
      if (next.kind === 'end') {
        await desk.end(this.#delivery, { status: next.status, steps: this.#results });
        return;
      }
      await this.#take(next, must(steps[next.at]));
      await desk.report(this.#delivery, this.#results);
    }
  }

  /** A step that had begun when the agent before this one ended. */
  async #recover(): Promise<void> {
    const { clock, signal, desk } = this.#options;
    const last = this.#results.at(-1);
    if (last?.status !== 'InProgress') return;
    const step = must(this.#delivery.document.steps[this.#results.length - 1]);
    const action = this.#options.actions.get(step.action);
    const said = await recovered(action, this.#input(step, { signal, say: () => {} }));
    const stderr = `the agent ended while the step ran. ${said}`;
    const over = { status: 'Failed', statusDetails: 'Failed', responseCode: 1, stderr } as const;
    this.#results[this.#results.length - 1] = { ...last, ...over, endedAtMs: clock.wallMs() };
    await desk.report(this.#delivery, this.#results);
  }

  async #lookAround(): Promise<void> {
    const { desk, clock } = this.#options;
    if (await desk.isCancelled(this.#delivery)) this.#stopped ??= 'Cancelled';
    else if (clock.wallMs() >= this.#delivery.expiresAtMs) this.#stopped ??= 'TimedOut';
  }

  async #take(next: Exclude<Next, { kind: 'end' }>, step: DocumentStep): Promise<void> {
    const { clock, desk } = this.#options;
    const { name, action } = step;
    if (next.kind === 'skip') {
      this.#results.push({ name, action, ...skipped(next.why), responseCode: 0, stdout: '', stderr: '' });
      return;
    }
    const startedAtMs = clock.wallMs();
    const begun = { status: 'InProgress', statusDetails: 'InProgress', responseCode: -1 } as const;
    this.#results.push({ name, action, ...begun, stdout: '', stderr: '', startedAtMs });
    await desk.report(this.#delivery, this.#results);
    const lines: string[] = [];
    const { result, stopped } = await this.#run(step, (line) => keep(lines, line));
    this.#results[next.at] = {
      name,
      action,
      ...statusOf(result, stopped),
      responseCode: result.responseCode,
      stdout: lines.join(''),
      stderr: result.stderr,
      startedAtMs,
      endedAtMs: clock.wallMs(),
    };
  }

  /** With a signal that aborts when the step is cancelled or late. One of `finallyStep` is given its time whatever happened. */
  async #run(
    step: DocumentStep,
    say: (line: string) => void,
  ): Promise<{ result: ActionResult; stopped: Stopped | undefined }> {
    const { clock, signal } = this.#options;
    const action: Action | undefined = this.#options.actions.get(step.action);
    if (!action) return { result: failed(`${step.action} is not carried out here`), stopped: undefined };
    const controller = new AbortController();
    const end = (why: Error) => controller.abort(why);
    const onEnd = () => end(signal.reason as Error);
    signal.addEventListener('abort', onEnd, { once: true });
    const ms = Math.max(0, stepSeconds(step) * SECOND_MS);
    let stopped: Stopped | undefined;
    const stop = (as: Stopped, why: string) => {
      stopped ??= as;
      end(new Error(why));
    };
    const cancels = [
      clock.after(ms, () => stop('TimedOut', `it took longer than ${ms} ms`), { keepAlive: true }),
    ];
    const watch = () => {
      cancels[1] = clock.after(CANCEL_LOOK_MS, () => void this.#isCancelled().then(onLook), {
        keepAlive: true,
      });
    };
    const onLook = (isCancelled: boolean) => {
      if (isCancelled) stop('Cancelled', 'it was cancelled');
      else if (!controller.signal.aborted) watch();
    };
    if (!step.finallyStep) watch();
    try {
      const result = await action.run(this.#input(step, { signal: controller.signal, say }));
      if (result.succeeded) return { result, stopped: undefined };
      // It was cut short with the agent: whoever comes after it says so.
      signal.throwIfAborted();
      return { result, stopped };
    } catch (error) {
      signal.throwIfAborted();
      // An action meets the world: its services may answer anything, or nothing. Our own mistakes end the process.
      if (error instanceof AssertionError) throw error;
      return { result: failed(describeError(error)), stopped };
    } finally {
      for (const cancel of cancels) cancel();
      controller.abort(new Error('the step has ended'));
      signal.removeEventListener('abort', onEnd);
    }
  }

  /** Where the registry does not answer, nobody has cancelled it as far as is known. */
  async #isCancelled(): Promise<boolean> {
    try {
      return await this.#options.desk.isCancelled(this.#delivery);
    } catch (error) {
      if (!isCoded(error)) throw error;
      return false;
    }
  }

  #input({ inputs }: DocumentStep, of: Pick<ActionInput, 'signal' | 'say'>): ActionInput {
    return { delivery: this.#delivery, inputs, ending: this.#options.signal, ...of };
  }
}

/** What an action cannot undo it says; the step has failed in any case. */
async function recovered(action: Action | undefined, input: ActionInput): Promise<string> {
  try {
    return (await action?.recover(input)) ?? '';
  } catch (error) {
    if (error instanceof AssertionError || input.ending.aborted) throw error;
    return `What it left cannot be undone: ${describeError(error)}`;
  }
}

function keep(lines: string[], line: string): void {
  const length = lines.reduce((sum, { length: each }) => sum + each, 0);
  if (length < OUTPUT_CHARACTERS_MAX) lines.push(line);
}

function skipped(why: Skipped): Pick<StepResult, 'status' | 'statusDetails'> {
  if (why === 'Skipped') return { status: 'Success', statusDetails: 'Skipped' };
  return { status: why, statusDetails: why };
}

function statusOf(result: ActionResult, stopped: Stopped | undefined) {
  if (stopped === 'TimedOut') return { status: 'TimedOut', statusDetails: 'ExecutionTimedOut' } as const;
  if (stopped) return { status: stopped, statusDetails: stopped } as const;
  const status = result.succeeded ? ('Success' as const) : ('Failed' as const);
  return { status, statusDetails: status };
}
