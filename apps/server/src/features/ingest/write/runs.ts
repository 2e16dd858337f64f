import type pg from 'pg';
import { BoundedCache } from '../bounded-cache.js';

/** What ingest must know of a run: whose it is, and by which release its bytes are read. */
export interface RunRow {
  readonly id: string;
  readonly device: string;
  readonly probe: string;
  readonly version: string;
  readonly releaseDigest: string;
  readonly debug: boolean;
  /** As the device's facts say it; null before its first birth. */
  readonly kernelArch: string | null;
}

const RUNS_MAX = 10_000;
const TTL_MS = 60_000;

/** Runs by id, cached: a run never changes its device, its release or its kind. */
export class Runs {
  private readonly cache: BoundedCache<string, RunRow>;

  constructor(nowMs: () => number) {
    this.cache = new BoundedCache(RUNS_MAX, TTL_MS, nowMs);
  }

  /** Those of `ids` that exist and are of devices that may still be heard: a broker may not have cut one off. */
  async resolve(client: pg.ClientBase, ids: ReadonlySet<string>): Promise<Map<string, RunRow>> {
    const found = new Map<string, RunRow>();
    const missing: string[] = [];
    for (const id of ids) {
      const run = this.cache.get(id);
      if (run === undefined) missing.push(id);
      else found.set(id, run);
    }
    if (missing.length === 0) return found;
    const { rows } = await client.query<RunRow>(
      `SELECT r.id, r."deviceId" AS device, l.probe, l.version, l.digest AS "releaseDigest", r.kind = 'debug' AS debug,
         d."kernelArch"
       FROM "Run" r JOIN "Release" l ON l.id = r."releaseId" JOIN "Device" d ON d.id = r."deviceId"
       WHERE r.id = ANY ($1) AND d.status <> 'revoked'`,
      [missing],
    );
    for (const run of rows) {
      this.cache.set(run.id, run);
      found.set(run.id, run);
    }
    return found;
  }
}
