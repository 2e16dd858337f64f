import 'reflect-metadata';
import { EventEmitter, once } from 'node:events';
import { randomBytes, webcrypto } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createClient, liveEventSchema, type ApiClient, type LiveEvent } from '@bpfleet/api';
import { createTestDatabase, connectTestMqtt, type TestDatabase } from '@bpfleet/testkit';
import { acceptDesired, acceptFirstRoot, acceptFresh, acceptRelease, parseEnrolmentToken } from '@bpfleet/trust';
import { deviceFilter, encodeMessage, parseDownTopic, upTopic, type DownTopic, type UpTopic } from '@bpfleet/wire';
import type { LoggerService } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import * as x509 from '@peculiar/x509';
import type { MqttClient } from 'mqtt';
import { AppModule } from '../app.module.js';
import { BrokerRole } from '../broker/broker-role.js';
import { parseConfig, type ServerConfig } from '../config/config.js';
import { createHttpApplication } from '../http/http-server.js';
import { Clock } from '../platform/clock.js';
import { ServerKeys } from '../platform/keys/server-keys.js';
import { LiveBus } from '../platform/live/live-bus.js';
import { BrokerLink, MqttLink } from '../platform/mqtt/mqtt-link.js';
import { migrate, readMigrations } from '../platform/prisma/migrate.js';
import { PrismaService } from '../platform/prisma/prisma.service.js';
import { addRelease, benchFacts, repositoryDir } from './control/testing/bench.js';

const PASSWORD = 'a-long-test-password';
const silent: LoggerService = { log: () => {}, warn: () => {}, error: () => {} };
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

let database: TestDatabase;
let dataDir: string;
let keys: ServerKeys;
let broker: BrokerRole & { port: number };
let config: ServerConfig;
let app: NestFastifyApplication;
let api: ApiClient;

/** The role itself, which reads revocations from Postgres. */
function startBroker(port = 0): Promise<BrokerRole & { port: number }> {
  const environment = {
    BPFLEET_DATABASE_URL: database.url,
    BPFLEET_DATA_DIR: dataDir,
    BPFLEET_MQTT_PORT: String(port),
    BPFLEET_ROLES: 'broker',
  };
  return BrokerRole.start(parseConfig(environment, repositoryDir), () => undefined);
}

beforeAll(async () => {
  database = await createTestDatabase();
  dataDir = mkdtempSync(join(tmpdir(), 'bpfleet-plane-'));
  keys = await ServerKeys.open(dataDir);
  broker = await startBroker();
  const environment = {
    BPFLEET_DATABASE_URL: database.url,
    BPFLEET_DATA_DIR: dataDir,
    BPFLEET_HTTP_PORT: '0',
    BPFLEET_MQTT_URL: `mqtts://127.0.0.1:${broker.port}`,
    BPFLEET_ROLES: 'api,control',
    BPFLEET_ADMIN_PASSWORD: PASSWORD,
  };
  config = parseConfig(environment, repositoryDir);
  await migrate(database.url, readMigrations(join(repositoryDir, 'prisma/migrations')));
  app = await createHttpApplication(AppModule.forRoles(config), config, silent);
  await app.init();
  app.get<BrokerLink>(MqttLink).start();
  await app.listen(0, '127.0.0.1');
  api = await logIn(await app.getUrl());
}, 120_000);

afterAll(async () => {
  await app?.close();
  await broker?.stop();
  await database?.drop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function logIn(baseUrl: string): Promise<ApiClient> {
  const response = await fetch(`${baseUrl}/api/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'admin', password: PASSWORD }),
  });
  const cookie = (response.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
  return createClient({
    baseUrl,
    fetch: (url, init) => fetch(url, { ...init, headers: { ...(init?.headers as object), cookie } }),
  });
}

/** A device without an agent: it enrols, connects with its certificate, and keeps what it is sent. */
class Device {
  readonly heard: { topic: DownTopic; payload: Buffer }[] = [];
  private readonly arrivals = new EventEmitter();
  client!: MqttClient;

  private constructor(
    readonly id: string,
    readonly certificate: string,
    readonly key: string,
    readonly root: ReturnType<typeof acceptFirstRoot>,
  ) {}

  static async enrol(labels: Record<string, string> = {}): Promise<Device> {
    const { token } = await api.call('createEnrolmentToken', { body: { name: 'one', labels } });
    const pair = (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
    const request = { name: 'CN=device', keys: pair, signingAlgorithm: algorithm };
    const csr = (await x509.Pkcs10CertificateRequestGenerator.create(request)).toString('pem');
    const answer = await api.call('enrol', { body: { token, csr, hostname: 'edge-1' } });
    const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', pair.privateKey), 'PRIVATE KEY');
    const root = acceptFirstRoot(Buffer.from(answer.root, 'base64'), parseEnrolmentToken(token).rootDigest);
    expect(answer.mqttUrl).toBe(config.mqttPublicUrl);
    return new Device(answer.device, answer.certificate, key, root);
  }

  async connect(connection: number): Promise<void> {
    const will = encodeMessage({ v: 1, online: false, connection, bootId: 'boot' });
    this.client = await connectTestMqtt({
      port: broker.port,
      ca: this.root.caBundle[0] as string,
      certificate: { cert: this.certificate, key: this.key, serialNumber: '' },
      clientId: this.id,
      will: { topic: upTopic(this.id, { kind: 'birth' }), payload: will, qos: 1, retain: false },
    });
    this.client.on('message', (text, payload) => {
      const topic = parseDownTopic(this.id, text);
      if (topic) this.heard.push({ topic, payload });
      this.arrivals.emit('heard');
    });
    await this.client.subscribeAsync(deviceFilter(this.id), { qos: 1 });
    await this.say({ kind: 'birth' }, { v: 1, online: true, connection, bootId: 'boot', facts: benchFacts });
  }

  async say(topic: UpTopic, message: object): Promise<void> {
    await this.client.publishAsync(upTopic(this.id, topic), encodeMessage(message), { qos: 1 });
  }

  /** Waits on what arrives, not on time. */
  async hear(kind: DownTopic['kind'], accept: (payload: Buffer) => boolean = () => true): Promise<Buffer> {
    for (;;) {
      const found = this.heard.find(({ topic, payload }) => topic.kind === kind && accept(payload));
      if (found) return found.payload;
      await once(this.arrivals, 'heard');
    }
  }

  async sync(): Promise<{ generation: number }> {
    const nonce = randomBytes(16).toString('hex');
    const held = { root: keys.root.digest, desired: null, generation: 0 };
    this.heard.length = 0;
    await this.say({ kind: 'sync' }, { v: 1, nonce, held, streams: [] });
    const desired = acceptDesired(this.root, this.id, undefined, await this.hear('desired'));
    const fresh = acceptFresh(this.root, this.id, [nonce], await this.hear('fresh'));
    expect(fresh.generation).toBeGreaterThanOrEqual(desired.generation);
    return fresh;
  }

  desiredWith(probe: string) {
    const entryOf = (payload: Buffer) =>
      acceptDesired(this.root, this.id, undefined, payload).entries.find((entry) => entry.probe === probe);
    return this.hear('desired', (payload) => entryOf(payload) !== undefined).then((payload) => entryOf(payload)!);
  }
}

/** Resolves with the first live event that fits, from now on. */
function nextEvent(fits: (event: LiveEvent) => boolean): Promise<LiveEvent> {
  return new Promise((resolve) => {
    const stop = app.get(LiveBus).subscribe((event) => {
      if (!fits(liveEventSchema.parse(event))) return;
      stop();
      resolve(event);
    });
  });
}
const runIs = (run: string, state: string) => nextEvent((e) => e.type === 'run' && e.run === run && e.state === state);
const isOnline = (device: string, online: boolean) =>
  nextEvent((e) => e.type === 'device' && e.device === device && e.online === online);
const parts = () => ({
  keys,
  clock: app.get(Clock),
  prisma: app.get(PrismaService),
  get: <T>(type: abstract new (...args: never[]) => T): T => app.get(type as never, { strict: false }),
});

describe('the control plane over a real broker', () => {
  it('enrols a device, sees it come and go, assigns to it, and follows its run', async () => {
    const device = await Device.enrol({ site: 'oslo' });
    const online = isOnline(device.id, true);
    await device.connect(1);
    await online;
    await device.sync();

    const release = await addRelease(parts(), { probe: 'over_mqtt' });
    const { id } = await api.call('createAssignment', { body: { releaseId: release.id, selector: 'site=oslo' } });
    const entry = await device.desiredWith('over_mqtt');
    expect(entry).toMatchObject({ release: release.digest, reason: { kind: 'assignment', intent: id } });

    await device.say({ kind: 'get', rid: 'g1' }, { v: 1, kind: 'release', digest: release.digest });
    expect(acceptRelease(device.root, release.digest, await device.hear('doc')).probe).toBe('over_mqtt');

    const attached = runIs(entry.run, 'ATTACHED');
    const report = { v: 1, run: entry.run, release: release.digest, state: 'ATTACHED', revision: 1, hold: 'pinned' };
    await device.say({ kind: 'run', run: entry.run }, report);
    await attached;
    const { items } = await api.call('listRuns', { query: { device: device.id, live: 'true' } });
    expect(items).toMatchObject([{ id: entry.run, state: 'ATTACHED', hold: 'pinned', deviceName: 'edge-1' }]);
    expect((await api.call('getAssignment', { path: { id } })).runs).toEqual({ ATTACHED: 1 });

    const offline = isOnline(device.id, false);
    device.client.stream.destroy();
    await offline;
    expect((await api.call('getDevice', { path: { id: device.id } })).online).toBe(false);
    const removed = runIs(entry.run, 'REMOVED');
    await api.call('withdrawAssignment', { path: { id } });
    await removed;
    expect((await api.call('getRun', { path: { id: entry.run } })).history.at(-1)).toMatchObject({ to: 'REMOVED' });
  });

  it('delivers what was decided while the broker was away', async () => {
    const device = await Device.enrol({ site: 'tromso' });
    await device.connect(1);
    await device.sync();
    const release = await addRelease(parts(), { probe: 'while_away' });
    const { port } = broker;
    device.client.end(true);
    await broker.stop();
    await api.call('createAssignment', { body: { releaseId: release.id, selector: 'site=tromso' } });
    broker = await startBroker(port);
    await device.connect(2);
    const reconnected = new Promise<void>((resolve) => app.get<BrokerLink>(MqttLink).onConnect(resolve));
    await reconnected;
    await device.sync();
    expect(await device.desiredWith('while_away')).toMatchObject({ release: release.digest });
    device.client.end(true);
  });

  it('runs a debug session on one device, and audits who asked', async () => {
    const device = await Device.enrol();
    await device.connect(1);
    await device.sync();
    const release = await addRelease(parts(), { probe: 'debug_mqtt' });
    const run = await api.call('createDebugRun', { body: { device: device.id, releaseId: release.id, minutes: 5 } });
    const entry = await device.desiredWith('debug_mqtt');
    expect(entry).toMatchObject({ run: run.id, endsAfterSeconds: 300, reason: { kind: 'debug' } });
    const stopped = await api.call('stopDebugRun', { path: { id: run.id } });
    expect(stopped.state).toBe('REMOVED');
    const audit = await app
      .get(PrismaService)
      .auditEntry.findMany({ where: { subject: run.id }, orderBy: { at: 'asc' } });
    expect(audit.map(({ actor, action }) => `${actor} ${action}`)).toEqual(['admin debug.create', 'admin debug.stop']);
    device.client.end(true);
  });
});

describe('a device that is revoked', () => {
  it('is cut off, kept out and forgotten, and its runs say why', async () => {
    const device = await Device.enrol({ site: 'mast' });
    const online = isOnline(device.id, true);
    await device.connect(1);
    await online;
    await device.sync();
    const release = await addRelease(parts(), { probe: 'on_the_mast' });
    const { id } = await api.call('createAssignment', { body: { releaseId: release.id, selector: 'site=mast' } });
    const entry = await device.desiredWith('on_the_mast');
    const attached = runIs(entry.run, 'ATTACHED');
    const report = { v: 1, run: entry.run, release: release.digest, state: 'ATTACHED', revision: 1, hold: 'pinned' };
    await device.say({ kind: 'run', run: entry.run }, report);
    await attached;

    const path = { id: device.id };
    const cut = new Promise<void>((resolve) => device.client.once('close', () => resolve()));
    const reason = 'stolen from \u001b[31mthe mast';
    const revoked = await api.call('revokeDevice', { path, body: { reason } });
    expect(revoked).toMatchObject({ status: 'revoked', online: false, runs: { attached: 0, total: 0 } });
    expect(revoked.revoked?.reason).toBe('stolen from [31mthe mast');
    await cut;
    device.client.end(true);
    await expect(device.connect(2)).rejects.toThrow();

    const run = await api.call('getRun', { path: { id: entry.run } });
    expect(run).toMatchObject({ state: 'ENDED', error: null });
    expect(run.history.at(-1)?.reason).toBe('admin revoked the device: stolen from [31mthe mast');
    expect((await api.call('getAssignment', { path: { id } })).devices).toBe(0);
    const listed = await api.call('listDevices', { query: { selector: 'site=mast' } });
    expect(listed.items).toEqual([]);
    expect((await api.call('getDevice', { path })).status).toBe('revoked');
    const debug = { device: device.id, releaseId: release.id, minutes: 5 };
    await expect(api.call('createDebugRun', { body: debug })).rejects.toMatchObject({ code: 'DEVICE_INACTIVE' });

    await api.call('revokeDevice', { path, body: { reason: 'another reason' } });
    const entries = (await api.call('listAudit', { query: { action: 'device.revoke' } })).items;
    expect(entries.filter(({ subject }) => subject === device.id)).toMatchObject([
      { actor: 'admin', details: { reason: 'stolen from [31mthe mast' } },
    ]);
    const nobody = api.call('revokeDevice', { path: { id: 'dnobody000001' }, body: { reason } });
    await expect(nobody).rejects.toMatchObject({ status: 404, code: 'DEVICE_UNKNOWN' });
    await expect(api.call('revokeDevice', { path, body: { reason: ' ' } })).rejects.toMatchObject({ status: 400 });
  });

  it('is the word of administrators alone', async () => {
    const { token } = await api.call('createApiToken', { body: { name: 'operator', role: 'operator' } });
    const operator = createClient({ baseUrl: await app.getUrl(), token });
    const call = operator.call('revokeDevice', { path: { id: 'dnobody000001' }, body: { reason: 'no' } });
    await expect(call).rejects.toMatchObject({ status: 403, code: 'ROLE_TOO_LOW' });
  });
});

describe('the API of the control plane', () => {
  it('lists devices in pages and by selector, and says where a selector is wrong', async () => {
    const names = ['page-a', 'page-b', 'page-c'];
    for (const name of names) {
      const device = await Device.enrol({ list: 'paged' });
      await api.call('updateDevice', { path: { id: device.id }, body: { name } });
    }
    const seen: string[] = [];
    for (let cursor: string | undefined; ;) {
      const page = await api.call('listDevices', {
        query: { selector: 'list=paged', limit: 2, ...(cursor ? { cursor } : {}) },
      });
      expect(page.total).toBe(3);
      seen.push(...page.items.map(({ name }) => name));
      if (page.nextCursor === null) break;
      cursor = page.nextCursor;
    }
    expect(seen).toEqual(names);
    const wrong = api.call('listDevices', { query: { selector: 'list==paged' } });
    await expect(wrong).rejects.toMatchObject({ status: 422, code: 'SELECTOR_INVALID', details: { column: 6 } });
    await expect(api.call('getDevice', { path: { id: 'd/../#' } })).rejects.toMatchObject({ status: 404 });
  });

  it('says before an assignment who would take it', async () => {
    const release = await addRelease(parts(), { probe: 'previewed' });
    const preflight = await api.call('preflight', { body: { selector: 'list=paged', releaseId: release.id } });
    expect(preflight).toMatchObject({ devices: 3, takes: 0, refuses: 0, unknown: 3 });
    expect(preflight.groups[0]?.reasons[0]?.sentence).toContain('not reported its kernel');
  });

  it('lets nobody in without a session, but for enrolment', async () => {
    const stranger = createClient({ baseUrl: await app.getUrl() });
    await expect(stranger.call('listDevices', { query: {} })).rejects.toMatchObject({ status: 401 });
    const enrol = stranger.call('enrol', { body: { token: 'bpf1.x', csr: 'x', hostname: 'x' } });
    await expect(enrol).rejects.toMatchObject({ status: 403, code: 'TOKEN_UNKNOWN' });
  });
});
