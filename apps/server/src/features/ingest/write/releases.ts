import type pg from 'pg';
import { columnsOfTable } from '../../telemetry/index.js';
import { BoundedCache } from '../bounded-cache.js';
import { ReleaseDecoders, type EventTable } from '../decode/release-decoders.js';
import type { RunRow } from './runs.js';

/** Where objects come from: the blob store. */
export interface ObjectSource {
  get(digest: string): Promise<Uint8Array | undefined>;
}

interface ReleaseRow {
  readonly manifest: string;
  readonly objects: readonly { readonly arch: string; readonly digest: string }[];
}

/** Why a release cannot be used; it stays so, and is asked for again only after a while. */
export interface Unreadable {
  readonly unreadable: string;
}

const RELEASES_MAX = 128;
/** A release never changes, but control may have made its tables since. */
const TTL_MS = 10 * 60_000;
const UNREADABLE_TTL_MS = 10_000;
/** `uname -m` of the architectures that facts name. */
const MACHINES: Readonly<Record<string, string>> = { x86_64: 'x86_64', arm64: 'aarch64', arm: 'armv7l' };

/** Decoders by release and architecture, cached. */
export class Releases {
  private readonly cache: BoundedCache<string, ReleaseDecoders>;
  private readonly unreadable: BoundedCache<string, Unreadable>;

  constructor(
    private readonly objects: ObjectSource,
    nowMs: () => number,
  ) {
    this.cache = new BoundedCache(RELEASES_MAX, TTL_MS, nowMs);
    this.unreadable = new BoundedCache(RELEASES_MAX, UNREADABLE_TTL_MS, nowMs);
  }

  /** @throws what the database throws; anything wrong with the release itself is an answer */
  async decodersFor(client: pg.ClientBase, run: RunRow): Promise<ReleaseDecoders | Unreadable> {
    const arch = run.kernelArch ?? 'x86_64';
    const key = `${run.releaseDigest} ${arch}`;
    const known = this.cache.get(key) ?? this.unreadable.get(key);
    if (known !== undefined) return known;
    const loaded = await this.load(client, run, arch);
    if (loaded instanceof ReleaseDecoders) this.cache.set(key, loaded);
    else this.unreadable.set(key, loaded);
    return loaded;
  }

  private async load(client: pg.ClientBase, run: RunRow, arch: string): Promise<ReleaseDecoders | Unreadable> {
    const { rows } = await client.query<ReleaseRow>('SELECT manifest, objects FROM "Release" WHERE digest = $1', [
      run.releaseDigest,
    ]);
    const release = rows[0];
    const wanted = release?.objects.find((object) => object.arch === arch || object.arch === 'any');
    if (!release || !wanted) return { unreadable: `there is no object for ${arch}` };
    const object = await this.objects.get(wanted.digest);
    if (object === undefined) return { unreadable: `its object ${wanted.digest} is not in the store` };
    const tables = await eventTablesOf(client, run.probe);
    try {
      return ReleaseDecoders.read(release.manifest, object, MACHINES[arch] ?? arch, tables);
    } catch (error) {
      return { unreadable: (error as Error).message };
    }
  }
}

async function eventTablesOf(client: pg.ClientBase, probe: string): Promise<EventTable[]> {
  const { rows } = await client.query<{ event: string; table: string }>(
    'SELECT event, table_name AS table FROM telemetry.event_table WHERE probe = $1',
    [probe],
  );
  const tables: EventTable[] = [];
  for (const { event, table } of rows) tables.push({ event, table, columns: await columnsOfTable(client, table) });
  return tables;
}
