import { Injectable } from '@nestjs/common';
import { Clock } from '../../platform/clock.js';
import { Devices } from '../devices/index.js';
import { parseSelector } from './selector/index.js';

const FRESH_MS = 10_000;
/** As many as there can be active assignments. */
const TEXTS_MAX = 1_000;

interface Known {
  readonly at: number;
  readonly devices: Promise<number>;
}

/**
 * How many devices a selector matches, for lists that people look at: every selector over every device is much work, so
 * each text is counted once, whoever asks, and again when the count is ten seconds old.
 */
@Injectable()
export class MatchCounts {
  private readonly known = new Map<string, Known>();

  constructor(
    private readonly devices: Devices,
    private readonly clock: Clock,
  ) {}

  async of(texts: Iterable<string>): Promise<ReadonlyMap<string, number>> {
    const now = this.clock.now().getTime();
    const wanted = new Map<string, Promise<number>>();
    const stale: string[] = [];
    for (const text of new Set(texts)) {
      const known = this.known.get(text);
      if (known && now - known.at < FRESH_MS) wanted.set(text, known.devices);
      else stale.push(text);
    }
    for (const [text, devices] of this.count(stale, now)) wanted.set(text, devices);
    return new Map(await Promise.all([...wanted].map(async ([text, devices]) => [text, await devices] as const)));
  }

  /** All in one walk over the fleet; whoever asks meanwhile waits for it. */
  private count(texts: readonly string[], now: number): Map<string, Promise<number>> {
    if (texts.length === 0) return new Map();
    const counted = this.devices.countMatches(texts.map(parseSelector));
    const each = new Map(texts.map((text, index) => [text, counted.then((counts) => counts[index] ?? 0)]));
    if (this.known.size + texts.length > TEXTS_MAX) this.known.clear();
    for (const [text, devices] of each) {
      this.known.set(text, { at: now, devices });
      // A count that failed is nobody's answer a second time.
      devices.catch(() => this.known.delete(text));
    }
    return each;
  }
}
