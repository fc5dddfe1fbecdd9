/**
 * Batches of clients that the engine has and that are not done, in their order: the first one runs, the others lie behind it
 * (engine-channel.ts). Nobody lies for long behind one that takes its time, where he could neither be turned down nor cancelled: he comes back.
 */
import type { Clock } from '@rokka/kernel';
import type { EngineLife } from './engine-life.ts';
import type { TurnClient } from './turn-client.ts';
import type { Place } from './waiting-line.ts';

export interface Flight {
  readonly client: TurnClient;
  readonly life: EngineLife;
  readonly messages: readonly Buffer[];
  /** Where it stood in the line. */
  readonly place: Place | undefined;
  /** The number that the life has given the batch. */
  readonly number: number;
  /** Others may lie behind it: as far as can be seen it leaves the backend free. */
  settles: boolean;
  /** As soon as it runs. */
  isCancelled: boolean;
}

const BEHIND_MS_MAX = 20;

export class Flights {
  readonly #clock: Clock;
  readonly #list: Flight[] = [];
  #isWatched = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get head(): Flight | undefined {
    return this.#list[0];
  }

  get last(): Flight | undefined {
    return this.#list.at(-1);
  }

  of(client: TurnClient): Flight | undefined {
    return this.#list.find((flight) => flight.client === client);
  }

  add(flight: Flight): void {
    this.#list.push(flight);
    this.#watch();
  }

  remove(flight: Flight): void {
    this.#list.splice(this.#list.indexOf(flight), 1);
  }

  #watch(): void {
    const [head, behind] = this.#list;
    if (!behind || this.#isWatched) return;
    this.#isWatched = true;
    this.#clock.after(BEHIND_MS_MAX, () => {
      this.#isWatched = false;
      if (this.head === head) {
        for (const flight of this.#list) flight.settles = false;
        head.life.takeBack();
      }
      // Where the engine was further on than is known here, it has put nothing aside.
      this.#watch();
    });
  }
}
