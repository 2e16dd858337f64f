import { fileURLToPath } from 'node:url';
import { readObject } from '@bpfleet/btf';
import { parseManifest } from '@bpfleet/probe';
import { digestOf } from '@bpfleet/trust';
import { encodeBatch, type Ack, type BatchHeader, type Section, type Stream } from '@bpfleet/wire';
import { parseConfig, type Config } from '../../src/config/config.js';
import { IngestService } from '../../src/features/ingest/ingest.service.js';
import { EventTables } from '../../src/features/telemetry/schema/event-tables.js';
import { TelemetrySchema } from '../../src/features/telemetry/schema/schema.module.js';
import { BlobStore } from '../../src/platform/blobs/blob-store.js';
import { FixedClock } from '../../src/platform/clock.js';
import type { LiveBus } from '../../src/platform/live/live-bus.js';
import { MqttLink } from '../../src/platform/mqtt/mqtt-link.js';
import { migrate, readMigrations } from '../../src/platform/prisma/migrate.js';
import { ControlSql } from '../../src/platform/sql/control-sql.js';
import { fixtureManifest, fixtureObject, FIXTURE_PROBE } from './probe-fixture.js';

const REPOSITORY = fileURLToPath(new URL('../../../..', import.meta.url));

/** A broker of one process: what is published is kept, what `deliver` is given reaches every subscriber. */
export class FakeLink extends MqttLink {
  readonly connected = true;
  readonly acks: { readonly device: string; readonly stream: string; readonly ack: Ack }[] = [];
  private readonly handlers: ((topic: string, payload: Buffer) => void | Promise<void>)[] = [];
  private waiting: (() => void)[] = [];

  async publish(topic: string, payload: Uint8Array): Promise<void> {
    const [, , device = '', , , stream = ''] = topic.split('/');
    this.acks.push({ device, stream, ack: JSON.parse(Buffer.from(payload).toString('utf8')) as Ack });
    for (const wake of this.waiting.splice(0)) wake();
  }

  async subscribe(_filters: readonly string[], handler: (topic: string, payload: Buffer) => void): Promise<void> {
    this.handlers.push(handler);
  }

  onConnect(): void {}

  deliver(topic: string, payload: Uint8Array): void {
    for (const handler of this.handlers) void handler(topic, Buffer.from(payload));
  }

  isAcked(device: string, stream: string, epoch: number, number: number): boolean {
    return this.acks.some(
      (one) =>
        one.device === device &&
        one.stream === stream &&
        one.ack.epoch === epoch &&
        one.ack.ranges.some(([first, last]) => first <= number && number <= last),
    );
  }

  /** Resolves when something was published since the call. */
  published(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** Resolves when all of `numbers` were acknowledged. */
  async acked(device: string, stream: string, epoch: number, numbers: readonly number[]): Promise<void> {
    while (!numbers.every((number) => this.isAcked(device, stream, epoch, number))) await this.published();
  }
}

export interface Fixture {
  readonly device: string;
  readonly run: string;
  readonly releaseId: string;
  readonly releaseDigest: string;
}

/** A database with both schemas, one device with one run of the fixture probe, and as many ingest services as asked. */
export class StoreWorld {
  readonly services: IngestService[] = [];

  private constructor(
    readonly config: Config,
    readonly sql: ControlSql,
    readonly clock: FixedClock,
    readonly tables: EventTables,
    readonly schema: TelemetrySchema,
    readonly blobs: BlobStore,
  ) {}

  static async open(databaseUrl: string, now: Date = new Date()): Promise<StoreWorld> {
    await migrate(databaseUrl, readMigrations(`${REPOSITORY}/prisma/migrations`));
    const environment = { BPFLEET_DATABASE_URL: databaseUrl, BPFLEET_DATA_DIR: '/nonexistent' };
    const config = parseConfig(environment, REPOSITORY) as Config;
    const sql = new ControlSql(config);
    const clock = new FixedClock(now);
    const schema = new TelemetrySchema(sql, clock, config);
    await schema.onModuleInit();
    return new StoreWorld(config, sql, clock, new EventTables(sql, clock, config), schema, new BlobStore(sql, clock));
  }

  async addDevice(device: string): Promise<void> {
    await this.sql.pool.query(
      `INSERT INTO "Device" (id, name, labels, "kernelArch", online) VALUES ($1, $1, '{}', 'x86_64', true)`,
      [device],
    );
  }

  async addRelease(version = '1.0.0', object: Uint8Array = fixtureObject()) {
    const manifest = fixtureManifest(version);
    const digest = await this.blobs.put('object', Buffer.from(object));
    const releaseDigest = digestOf(Buffer.from(manifest + digest));
    const releaseId = `release-${version}`;
    await this.sql.pool.query(
      `INSERT INTO "Release" (id, probe, version, summary, digest, manifest, objects, keyids, "mapBytes", warnings, events, "contentDigest", "createdBy")
       VALUES ($1, $2, $3, '', $4, $5, $6, '{}', 0, '[]', '[]', $4, 'test')`,
      [
        releaseId,
        FIXTURE_PROBE,
        version,
        releaseDigest,
        manifest,
        JSON.stringify([{ arch: 'any', digest, bytes: object.length }]),
      ],
    );
    await this.tables.ensureFor({ releaseId, manifest: parseManifest(manifest), object: readObject(object) });
    return { releaseId, releaseDigest };
  }

  async addRun(run: string, device: string, releaseId: string, kind: 'assignment' | 'debug' = 'assignment') {
    await this.sql.pool.query(
      `INSERT INTO "Run" (id, "deviceId", "releaseId", kind, intent, params, state, "updatedAt")
       VALUES ($1, $2, $3, $4, '', '{}', 'ATTACHED', now())`,
      [run, device, releaseId, kind],
    );
  }

  async fixture(): Promise<Fixture> {
    const device = 'dtestdevice1';
    const run = 'rtestrun0001';
    await this.addDevice(device);
    const release = await this.addRelease();
    await this.addRun(run, device, release.releaseId);
    return { device, run, ...release };
  }

  async ingest(link: FakeLink, databaseUrl?: string): Promise<IngestService> {
    const config = databaseUrl ? { ...this.config, databaseUrl } : this.config;
    const live = { publish: async () => undefined } as unknown as LiveBus;
    const service = new IngestService(config, link, live, this.blobs, this.clock);
    this.services.push(service);
    await service.onApplicationBootstrap();
    return service;
  }

  async count(sql: string, values: readonly unknown[] = []): Promise<number> {
    const { rows } = await this.sql.pool.query<{ count: number }>(`SELECT (${sql})::int AS count`, [...values]);
    return rows[0]?.count ?? 0;
  }

  async close(): Promise<void> {
    for (const service of this.services) await service.onModuleDestroy();
    await this.sql.onModuleDestroy();
  }
}

export interface BatchOptions {
  readonly stream?: Stream;
  readonly epoch?: number;
  readonly header?: Partial<BatchHeader>;
  readonly now?: Date;
}

export const BOOTTIME_NS = 1_000_000_000_000n;

/** A batch as an agent would seal it: its boot time clock stands at BOOTTIME_NS when the wall clock says `now`. */
export function sealBatch(
  fixture: Fixture,
  number: number,
  source: BatchHeader['source'],
  count: number,
  sections: readonly Section[],
  { stream = 'events', epoch = 1, header = {}, now = new Date() }: BatchOptions = {},
): Buffer {
  return encodeBatch(
    {
      stream,
      epoch,
      number,
      run: fixture.run,
      release: fixture.releaseDigest,
      source,
      count,
      time: {
        bootId: 'boot-1',
        boottimeNs: String(BOOTTIME_NS),
        monotonicNs: String(BOOTTIME_NS),
        realtimeNs: String(BigInt(now.getTime()) * 1_000_000n),
        trusted: true,
      },
      floor: 0,
      lost: [],
      drops: { kernel: 0, rate: 0, spool: 0 },
      ...header,
    },
    sections,
  );
}

export function topicOf(device: string, stream: Stream = 'events'): string {
  return `bpfleet/1/${device}/up/t/${stream}`;
}
