import type pg from 'pg';
import { normalNameId } from '../../telemetry/index.js';
import { BoundedCache } from '../bounded-cache.js';
import type { Dictionary } from '../decode/release-decoders.js';

const DEVICES_MAX = 256;
const NAMES_PER_DEVICE_MAX = 20_000;
const TTL_MS = 10_000;

/** What devices said about ids that only they can resolve, for the labels of series. */
export class DeviceNames {
  private readonly cache: BoundedCache<string, ReadonlyMap<string, string>>;

  constructor(nowMs: () => number) {
    this.cache = new BoundedCache(DEVICES_MAX, TTL_MS, nowMs);
  }

  async dictionary(client: pg.ClientBase, device: string, kinds: readonly string[]): Promise<Dictionary> {
    if (kinds.length === 0) return () => undefined;
    const key = `${device} ${kinds.join(',')}`;
    let names = this.cache.get(key);
    if (names === undefined) {
      names = await load(client, device, kinds);
      this.cache.set(key, names);
    }
    const found = names;
    return (kind, id) => found.get(`${kind} ${normalNameId(kind, id)}`);
  }
}

/** The newest name of each id: an interface may have been renamed, a cgroup made anew. */
async function load(client: pg.ClientBase, device: string, kinds: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await client.query<{ kind: string; id: string; name: string }>(
    `SELECT DISTINCT ON (kind, id) kind, id, name FROM telemetry.name
     WHERE device = $1 AND kind = ANY ($2) ORDER BY kind, id, seen_at DESC LIMIT $3`,
    [device, kinds, NAMES_PER_DEVICE_MAX],
  );
  return new Map(rows.map(({ kind, id, name }) => [`${kind} ${id}`, name]));
}
