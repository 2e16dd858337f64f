/** One line per topic and interval, so that a device that sends rubbish cannot fill the log; what was left out is counted. */
export class BoundedLog {
  private readonly topics = new Map<string, { at: number; left: number }>();

  constructor(
    private readonly write: (line: string) => void,
    private readonly nowMs: () => number,
    private readonly intervalMs = 10_000,
  ) {}

  /** `topic` is one of a fixed few words. */
  say(topic: string, line: string): void {
    const now = this.nowMs();
    const known = this.topics.get(topic);
    if (known !== undefined && now - known.at < this.intervalMs) {
      known.left += 1;
      return;
    }
    this.topics.set(topic, { at: now, left: 0 });
    this.write(known?.left ? `${line} (and ${known.left} more like it before)` : line);
  }
}
