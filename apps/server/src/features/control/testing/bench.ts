import 'reflect-metadata';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { randomBytes, randomUUID } from 'node:crypto';
import { Global, Module, type DynamicModule, type INestApplicationContext, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { digestOf, signDocument } from '@bpfleet/trust';
import { encodeMessage, upTopic, type Facts, type UpTopic } from '@bpfleet/wire';
import { Config, parseConfig } from '../../../config/config.js';
import { BlobStore } from '../../../platform/blobs/blob-store.js';
import { Clock, FixedClock } from '../../../platform/clock.js';
import { ServerKeys } from '../../../platform/keys/server-keys.js';
import { LiveBus } from '../../../platform/live/live-bus.js';
import { MqttLink } from '../../../platform/mqtt/mqtt-link.js';
import { migrate, readMigrations } from '../../../platform/prisma/migrate.js';
import { PrismaService } from '../../../platform/prisma/prisma.service.js';
import { ControlSql } from '../../../platform/sql/control-sql.js';
import { AuditModule } from '../../audit/log/index.js';
import { DesiredWorker } from '../../desired/desired-worker.js';
import { OutboxSender } from '../../desired/outbox-sender.js';
import { UploadWorker } from '../../kernels/upload/upload-worker.js';
import { ResolveWorker } from '../../kernels/verdicts/resolve-worker.js';
import { ControlDispatcher } from '../dispatcher.js';
import { LeaseHints } from '../lease-hints.js';
import { FakeLink } from './fake-link.js';

export const repositoryDir = join(dirname(fileURLToPath(import.meta.url)), '../../../../../..');
export const BENCH_START = new Date('2026-03-01T12:00:00.000Z');

@Global()
@Module({})
class BenchPlatform {}

export interface BenchOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly databaseUrl: string;
  readonly modules: readonly (Type | DynamicModule)[];
  /** Default: a FakeLink that is not yet connected. */
  readonly link?: MqttLink;
  readonly dataDir?: string;
}

/** A server with the role control over a real Postgres and real keys, with a clock that stands still and a broker that is an array. */
export class Bench {
  private constructor(
    readonly app: INestApplicationContext,
    readonly clock: FixedClock,
    readonly link: FakeLink,
    readonly keys: ServerKeys,
    private readonly dataDir: string | undefined,
  ) {}

  static async start(options: BenchOptions): Promise<Bench> {
    await migrate(options.databaseUrl, readMigrations(join(repositoryDir, 'prisma/migrations')));
    const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'bpfleet-bench-'));
    const environment = {
      BPFLEET_DATABASE_URL: options.databaseUrl,
      BPFLEET_DATA_DIR: dataDir,
      ...options.environment,
    };
    const clock = new FixedClock(BENCH_START);
    const link = new FakeLink();
    const keys = await ServerKeys.open(dataDir);
    const providers = [
      { provide: Config, useValue: parseConfig(environment, repositoryDir) },
      { provide: Clock, useValue: clock },
      { provide: ServerKeys, useValue: keys },
      { provide: MqttLink, useValue: options.link ?? link },
      ...[PrismaService, ControlSql, BlobStore, LiveBus],
    ];
    const platform = { module: BenchPlatform, providers, exports: providers };
    const root = { module: class BenchRoot {}, imports: [platform, AuditModule, ...options.modules] };
    const app = await NestFactory.createApplicationContext(root, { logger: false });
    // A test says when the workers work: what they do by themselves would come in between.
    for (const worker of [DesiredWorker, OutboxSender, LeaseHints, UploadWorker, ResolveWorker]) {
      await app.get<{ onModuleDestroy(): Promise<void> }>(worker, { strict: false }).onModuleDestroy();
    }
    return new Bench(app, clock, link, keys, options.dataDir ? undefined : dataDir);
  }

  get<T>(type: Type<T> | (abstract new (...args: never[]) => T)): T {
    return this.app.get(type as Type<T>, { strict: false });
  }

  get prisma(): PrismaService {
    return this.get(PrismaService);
  }

  /** A message from a device, handled to its end. */
  async say(device: string, topic: UpTopic, message: object | Buffer): Promise<void> {
    const payload = Buffer.isBuffer(message) ? message : encodeMessage(message);
    await this.link.deliver(upTopic(device, topic), payload);
    await this.get(ControlDispatcher).idle();
  }

  async stop(): Promise<void> {
    await this.app.close();
    if (this.dataDir) rmSync(this.dataDir, { recursive: true, force: true });
  }
}

/** What the helpers below need: a Bench, or a whole application. */
export interface ServerParts {
  readonly keys: ServerKeys;
  readonly clock: Clock;
  readonly prisma: PrismaService;
  get<T>(type: Type<T> | (abstract new (...args: never[]) => T)): T;
}

let devices = 0;

/** A row as enrolment leaves it. */
export async function addDevice(
  bench: ServerParts,
  given: { labels?: Record<string, string>; facts?: Facts; online?: boolean } = {},
): Promise<string> {
  const id = `dbench${String(devices++).padStart(8, '0')}`;
  await bench.prisma.device.create({
    data: {
      id,
      name: id,
      labels: given.labels ?? {},
      online: given.online ?? false,
      ...(given.facts ? { facts: given.facts } : {}),
    },
  });
  return id;
}

/** A release that is really signed, with an object that no kernel would take unless one is given. */
export async function addRelease(
  bench: ServerParts,
  given: { probe?: string; version?: string; extra?: string; arch?: string; object?: Buffer } = {},
): Promise<{ id: string; digest: string; envelope: Buffer; object: Buffer; objectDigest: string }> {
  const probe = given.probe ?? 'trace_bench';
  const version = given.version ?? '1.0.0';
  const manifest = `name: ${probe}\nversion: ${version}\nsummary: for a test\n${given.extra ?? ''}`;
  const blobs = bench.get(BlobStore);
  const object = given.object ?? randomBytes(100_000);
  const objectDigest = await blobs.put('object', object);
  const objects = [{ arch: (given.arch ?? 'any') as 'any', digest: objectDigest, bytes: object.length }];
  const createdAt = bench.clock.now().toISOString();
  const document = { type: 'release', probe, version, manifest, objects, createdAt } as const;
  const envelope = signDocument('release', document, bench.keys.release);
  const digest = await blobs.put('release', envelope);
  const { id } = await bench.prisma.release.create({
    data: {
      id: randomUUID(),
      probe,
      version,
      summary: 'for a test',
      digest,
      manifest,
      objects,
      keyids: bench.keys.release.map(({ keyid }) => keyid),
      mapBytes: 0,
      warnings: [],
      events: [],
      contentDigest: digestOf(object),
      createdBy: 'bench',
    },
  });
  return { id, digest, envelope, object, objectDigest };
}

export const benchFacts: Facts = {
  hostname: 'edge-1',
  machine: null,
  distribution: 'Debian GNU/Linux 12',
  kernelRelease: '6.1.0-28-arm64',
  kernelArch: 'arm64',
  kernelBuildId: 'ab'.repeat(20),
  userBits: 64,
  btfDigest: 'c'.repeat(64),
  jit: 'on',
  lsm: ['lockdown'],
  cpus: 4,
  pageBytes: 4096,
  memoryBytes: 4 * 1024 ** 3,
  features: ['ringbuf'],
  agentVersion: '0.1.0',
};
