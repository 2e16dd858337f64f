const PER_DEVICE_MAX = 64;
const TOTAL_MAX = 20_000;

/** Messages of one device are handled one after the other, those of different devices at the same time, all of it bounded. */
export class DeviceQueues {
  private readonly tails = new Map<string, { tail: Promise<void>; waiting: number }>();
  private total = 0;

  /** False when this device, or all together, have too much waiting: the message is dropped. `job` must not reject. */
  push(device: string, job: () => Promise<void>): boolean {
    const queue = this.tails.get(device) ?? { tail: Promise.resolve(), waiting: 0 };
    if (queue.waiting >= PER_DEVICE_MAX || this.total >= TOTAL_MAX) return false;
    queue.waiting++;
    this.total++;
    queue.tail = queue.tail.then(job).finally(() => this.done(device, queue));
    this.tails.set(device, queue);
    return true;
  }

  /** Resolves when everything pushed so far has been handled. */
  async idle(): Promise<void> {
    await Promise.all([...this.tails.values()].map(({ tail }) => tail));
  }

  private done(device: string, queue: { waiting: number }): void {
    queue.waiting--;
    this.total--;
    if (queue.waiting === 0) this.tails.delete(device);
  }
}
