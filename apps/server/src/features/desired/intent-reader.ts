import { Injectable, Logger } from '@nestjs/common';
import { ReleaseCatalogue, type CatalogueRelease } from '../releases/catalogue/index.js';
import { parseSelector, type Selector } from '../assignments/selector/index.js';
import { isFinal } from '../runs/index.js';
import type { AssignmentIntent, DebugIntent, DesiredRelease } from './desired.js';
import type { AssignmentRow, WantedRunRow } from './desired.store.js';

const SELECTORS_CACHED_MAX = 1000;

/** Turns rows into intents. Selectors and releases are parsed once: a thousand devices ask about the same few. */
@Injectable()
export class IntentReader {
  private readonly log = new Logger('IntentReader');
  private readonly selectors = new Map<string, Selector>();

  constructor(private readonly releases: ReleaseCatalogue) {}

  async assignmentsOf(rows: readonly AssignmentRow[]): Promise<AssignmentIntent[]> {
    const intents: AssignmentIntent[] = [];
    for (const row of rows) {
      const release = await this.releases.find(row.releaseId);
      const selector = this.selector(row);
      if (!release || !selector) continue;
      intents.push({
        id: row.id,
        release: desiredRelease(release),
        selector,
        params: row.params,
        createdAt: row.createdAt,
      });
    }
    return intents;
  }

  async debugOf(runs: readonly WantedRunRow[]): Promise<DebugIntent[]> {
    const intents: DebugIntent[] = [];
    for (const run of runs) {
      if (run.kind !== 'debug' || !run.endsAt) continue;
      const release = await this.releases.find(run.releaseId);
      if (!release) continue;
      const { id, params, createdAt, endsAt, state } = run;
      intents.push({ run: id, release: desiredRelease(release), params, createdAt, endsAt, over: isFinal(state) });
    }
    return intents;
  }

  private selector({ id, selector: text }: AssignmentRow): Selector | undefined {
    const cached = this.selectors.get(text);
    if (cached) return cached;
    try {
      const selector = parseSelector(text);
      if (this.selectors.size >= SELECTORS_CACHED_MAX) this.selectors.clear();
      this.selectors.set(text, selector);
      return selector;
    } catch (error) {
      // It was checked when the assignment was made; a newer server that reads less must not stop every other one.
      this.log.error(`assignment ${id} has a selector that cannot be read: ${(error as Error).message}`);
      return undefined;
    }
  }
}

function desiredRelease(release: CatalogueRelease): DesiredRelease {
  const { cpu_percent: cpuPercent, map_bytes: mapBytes, events_per_second: eventsPerSecond } = release.manifest.budget;
  const { id, digest, probe, version } = release;
  return { id, digest, probe, version, budget: { cpuPercent, mapBytes, eventsPerSecond } };
}
