import { BtfError } from '../error.js';

/** Bounds the time of one question: input made to do harm could ask for as much work as it likes. */
export class StepBudget {
  #left: number;

  /** `what` begins the sentence of the error. */
  constructor(
    readonly stepsMax: number,
    readonly what: string,
  ) {
    this.#left = stepsMax;
  }

  /** @throws BtfError BTF_LIMIT */
  spend(steps = 1): void {
    this.#left -= steps;
    if (this.#left < 0) throw new BtfError('BTF_LIMIT', `${this.what} takes more than ${this.stepsMax} steps`);
  }

  get isSpent(): boolean {
    return this.#left < 0;
  }
}
