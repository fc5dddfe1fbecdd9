/** What a step of a document does on this machine. */
import type { Delivery, JsonObject } from '@rokka/services';

export interface ActionInput {
  readonly delivery: Delivery;
  readonly inputs: JsonObject;
  /** Aborted when the step is to end: it was cancelled, or its time is over. */
  readonly signal: AbortSignal;
  /** Aborted when the agent ends. What is to be tidied up after `signal` has until then; `recover` does the rest. */
  readonly ending: AbortSignal;
  /** Tells how it goes; the lines are its standard output. */
  say(line: string): void;
}

export interface ActionResult {
  readonly succeeded: boolean;
  /** 0 where it succeeded. */
  readonly responseCode: number;
  /** What went wrong, in words; or what a script wrote there. */
  readonly stderr: string;
}

export interface Action {
  run(input: ActionInput): Promise<ActionResult>;
  /** The agent was ended while the step ran, and has begun anew: what it left is undone. Answers what is to be said of it. */
  recover(input: ActionInput): Promise<string>;
}

/** By the names that documents have for them. */
export type Actions = ReadonlyMap<string, Action>;

export const succeeded: ActionResult = { succeeded: true, responseCode: 0, stderr: '' };
export const failed = (why: string, responseCode = 1): ActionResult => ({
  succeeded: false,
  responseCode,
  stderr: why,
});
