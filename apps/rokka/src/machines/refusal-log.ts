/** Strangers knock as often as they like; the log gets one line a minute for each reason, and says how many it stands for. */
import { describeError, type Clock, type CodedError } from '@rokka/kernel';

const QUIET_MS = 60_000;
/** Reasons come from one table of errors; more than this would mean that one of them is made up. */
const REASONS_MAX = 64;

export class RefusalLog {
  readonly #clock: Clock;
  readonly #say: (text: string) => void;
  readonly #reasons = new Map<string, { untilMs: number; unsaid: number }>();

  constructor(clock: Clock, say: (text: string) => void) {
    this.#clock = clock;
    this.#say = say;
  }

  add(reason: CodedError): void {
    const nowMs = this.#clock.nowMs();
    const seen = this.#reasons.get(reason.code);
    if (seen && nowMs < seen.untilMs) return void seen.unsaid++;
    if (!seen && this.#reasons.size >= REASONS_MAX) return;
    this.#reasons.set(reason.code, { untilMs: nowMs + QUIET_MS, unsaid: 0 });
    const more = seen?.unsaid ? ` (and ${seen.unsaid} more since)` : '';
    this.#say(`refused: ${describeError(reason)}${more}`);
  }
}
