/** The part of a socket this needs: node:http's ServerResponse has it. */
export interface Sink {
  readonly writableLength: number;
  write(text: string): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

/** Writes server-sent events until the client falls behind by `pendingBytesMax`; then counts, and says how many when it has caught up. */
export class BoundedStream<T extends object> {
  private dropped = 0;
  private waiting = false;

  constructor(
    private readonly sink: Sink,
    private readonly pendingBytesMax: number,
    private readonly droppedEvent: (count: number) => T,
  ) {}

  send(event: T): void {
    if (this.sink.writableLength >= this.pendingBytesMax) {
      this.dropped += 1;
      this.waitForDrain();
      return;
    }
    this.write(event);
  }

  comment(text: string): void {
    if (this.sink.writableLength < this.pendingBytesMax) this.sink.write(`: ${text}\n\n`);
  }

  private write(event: T): void {
    this.sink.write(`data: ${JSON.stringify(event)}\n\n`);
  }

  private waitForDrain(): void {
    if (this.waiting) return;
    this.waiting = true;
    this.sink.once('drain', () => {
      this.waiting = false;
      const count = this.dropped;
      this.dropped = 0;
      this.write(this.droppedEvent(count));
    });
  }
}
