/** What is to be done next in a run: from its record, the command and the snapshots. Pure. After the last step it has ended. */
import type { CommandOutcome } from '../ssm/command-outcome.ts';
import type { Run, ScriptRecord } from './dlm-records.ts';

export interface RunFacts {
  readonly run: Run;
  /** Undefined: snapshots are made without one. */
  readonly script: ScriptRecord | undefined;
  readonly command: CommandOutcome;
  /** What this phase, and this attempt of it, has made. Of a set that is not whole any more, what is left. */
  readonly made: 'none' | 'pending' | 'completed' | 'failed';
  /** Whether all of it has the tags of the policy. */
  readonly isTagged: boolean;
}

export type RunStep =
  | { readonly step: 'none' }
  | { readonly step: 'send' }
  /** The script once more, as another command. */
  | { readonly step: 'retry' }
  /** Snapshots without the script. */
  | { readonly step: 'fall-back'; readonly why: string }
  | { readonly step: 'create' }
  | { readonly step: 'tag' }
  /** There are new snapshots: old ones go. */
  | { readonly step: 'finish'; readonly note?: string }
  | { readonly step: 'fail'; readonly why: string };

export function decide(facts: RunFacts): RunStep {
  const { run, script, made } = facts;
  if (run.end) return { step: 'none' };
  if (run.phase === 'script' && script) return ofScript(facts, script);
  if (made === 'none') return { step: 'create' };
  return ofMade(facts, run.fallback);
}

function ofScript(facts: RunFacts, script: ScriptRecord): RunStep {
  const { run, made } = facts;
  const command: CommandOutcome =
    run.refusal === undefined ? facts.command : { state: 'failed', why: run.refusal };
  if (command.state === 'none') return { step: 'send' };
  if (command.state === 'running') return { step: 'none' };
  if (command.state === 'succeeded') {
    const why = 'the command has made no snapshots that can be used';
    return made === 'none' || made === 'failed' ? withoutScript(script, why) : ofMade(facts, undefined);
  }
  if (run.attempt < script.retries) return { step: 'retry' };
  // What it has made is of one moment all the same: that applications did not hold is all that is wrong with it.
  const isUsable = script.fallsBack && (made === 'pending' || made === 'completed');
  return isUsable ? ofMade(facts, command.why) : withoutScript(script, command.why);
}

const withoutScript = ({ fallsBack }: ScriptRecord, why: string): RunStep =>
  fallsBack ? { step: 'fall-back', why } : { step: 'fail', why };

function ofMade({ made, isTagged }: RunFacts, fallback: string | undefined): RunStep {
  if (made === 'failed') return { step: 'fail', why: 'the snapshots could not be made' };
  if (made === 'pending') return { step: 'none' };
  if (!isTagged) return { step: 'tag' };
  if (fallback === undefined) return { step: 'finish' };
  return { step: 'finish', note: `the snapshots are not consistent for applications: ${fallback}` };
}
