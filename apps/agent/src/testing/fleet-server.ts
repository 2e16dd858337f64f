import { EventEmitter } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectTestMqtt, startMosquitto, startTestBroker, testCa, type TestCa } from '@bpfleet/testkit';
import {
  digestOf,
  generateSigningKey,
  signDocument,
  type DesiredEntry,
  type RootDocument,
  type SigningKey,
} from '@bpfleet/trust';
import {
  birthSchema,
  commandResultSchema,
  decodeBatchBody,
  decodeBatchHeader,
  decodeUploadChunk,
  downTopic,
  encodeBlobChunk,
  encodeMessage,
  getSchema,
  parseMessage,
  parseUpTopic,
  reportedSchema,
  ringRecords,
  runReportSchema,
  syncSchema,
  type BatchHeader,
  type Birth,
  type CommandResult,
  type Get,
  type Reported,
  type RunReport,
  type Sync,
  type UploadChunk,
} from '@bpfleet/wire';
import type { MqttClient } from 'mqtt';
import { DocumentStore } from '../store/documents.js';
import { saveIdentity } from '../store/identity.js';

export type BrokerKind = 'embedded' | 'mosquitto';

export interface ReceivedBatch {
  readonly header: BatchHeader;
  readonly sections: readonly Uint8Array[];
}

/** Bytes on their way to the device; a test may bend them. */
export type Tamper = (kind: 'desired' | 'fresh' | 'doc' | 'blob', bytes: Buffer) => Buffer;

/** The least of a server: signs, answers, remembers. Real documents, real broker, real certificates. */
export class FleetServer {
  readonly births: Birth[] = [];
  readonly syncs: Sync[] = [];
  readonly reports: RunReport[] = [];
  readonly reported: Reported[] = [];
  readonly batches: ReceivedBatch[] = [];
  readonly gets: Get[] = [];
  readonly uploads: (UploadChunk & { readonly digest: string })[] = [];
  readonly results: CommandResult[] = [];
  /** Acknowledge what comes, as if it had been committed. */
  acknowledging = true;
  tamper: Tamper = (_kind, bytes) => bytes;
  private readonly events = new EventEmitter();
  private readonly documents = new Map<string, Buffer>();
  private readonly blobs = new Map<string, Buffer>();
  private desiredBytes: Buffer;
  private generation = 1;
  private client: MqttClient | undefined;
  private broker: { port: number; serverPort: number; stop(): Promise<void> } | undefined;

  private constructor(
    readonly device: string,
    readonly ca: TestCa,
    private readonly kind: BrokerKind,
    readonly root: Buffer,
    private readonly director: SigningKey,
    private readonly releaseKey: SigningKey,
    private readonly btfKey: SigningKey,
  ) {
    this.desiredBytes = this.signDesired([]);
  }

  static async start(device: string, kind: BrokerKind = 'embedded'): Promise<FleetServer> {
    const ca = await testCa();
    const [rootKey, director, releaseKey, btfKey] = [1, 2, 3, 4].map(() => generateSigningKey()) as [
      SigningKey,
      SigningKey,
      SigningKey,
      SigningKey,
    ];
    const role = (key: SigningKey) => ({ keyids: [key.keyid], threshold: 1 });
    const document: RootDocument = {
      type: 'root',
      version: 1,
      keys: [rootKey, director, releaseKey, btfKey].map(({ keyid, spki }) => ({ keyid, spki })),
      roles: { root: role(rootKey), director: role(director), btf: role(btfKey), agent: role(btfKey) },
      release: [{ probes: '*', role: role(releaseKey) }],
      caBundle: [ca.ca],
      people: [],
    };
    const root = signDocument('root', document, [rootKey]);
    const server = new FleetServer(device, ca, kind, root, director, releaseKey, btfKey);
    await server.startBroker();
    return server;
  }

  get port(): number {
    return this.broker?.port ?? 0;
  }

  /** A state folder as enrolment leaves it. */
  async enrolledState(): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), 'bpfleet-agent-'));
    const { cert, key } = await this.ca.issueDevice(this.device);
    new DocumentStore(folder).saveRoot(this.root);
    saveIdentity(folder, { device: this.device, mqttUrl: `mqtts://127.0.0.1:${this.port}`, key, certificate: cert });
    return folder;
  }

  async startBroker(port = 0, serverPort = 0): Promise<void> {
    if (this.kind === 'mosquitto') {
      const { cert, key } = await this.ca.issueServer();
      this.broker = await startMosquitto({ ca: this.ca.ca, cert, key, port, serverPort });
    } else {
      const broker = await startTestBroker(this.ca, { port });
      this.broker = { port: broker.port, serverPort: broker.port, stop: () => broker.stop() };
    }
    await this.connect();
  }

  async stopBroker(): Promise<{ port: number; serverPort: number }> {
    const { broker } = this;
    this.client?.end(true);
    await broker?.stop();
    return { port: broker?.port ?? 0, serverPort: broker?.serverPort ?? 0 };
  }

  async stop(): Promise<void> {
    await this.stopBroker();
  }

  /** Signs and keeps a release of one object; returns its digest. */
  publish(manifest: string, object: Buffer, probe: string): string {
    const blob = digestOf(object);
    this.blobs.set(blob, object);
    const bytes = signDocument(
      'release',
      {
        type: 'release',
        probe,
        version: '1.0.0',
        manifest,
        objects: [{ arch: 'any', digest: blob, bytes: object.length }],
        createdAt: '2026-01-01T00:00:00.000Z',
      },
      [this.releaseKey],
    );
    this.documents.set(digestOf(bytes), bytes);
    return digestOf(bytes);
  }

  /** Signs and keeps an addendum and its BTF; returns its digest. */
  addendum(release: string, object: Buffer, buildId: string, btf: Buffer): string {
    const digest = digestOf(btf);
    this.blobs.set(digest, btf);
    const bytes = signDocument(
      'addendum',
      {
        type: 'addendum',
        release,
        object: digestOf(object),
        buildId,
        btf: { digest, bytes: btf.length },
        createdAt: '2026-01-01T00:00:00.000Z',
      },
      [this.btfKey],
    );
    this.documents.set(digestOf(bytes), bytes);
    return digestOf(bytes);
  }

  entry(run: string, release: string, change: Partial<DesiredEntry> = {}): DesiredEntry {
    return {
      run,
      release,
      probe: 'watch_priority',
      version: '1.0.0',
      params: {},
      budget: { cpuPercent: 50, mapBytes: 4 << 20, eventsPerSecond: 100_000 },
      leaseSeconds: 86_400,
      reason: { kind: 'assignment', intent: 'a1' },
      ...change,
    };
  }

  /** A new generation, told at once as a server would. */
  async desire(entries: readonly DesiredEntry[]): Promise<void> {
    this.generation += 1;
    this.desiredBytes = this.signDesired(entries);
    await this.send({ kind: 'desired' }, this.tamper('desired', this.desiredBytes));
  }

  async send(topic: Parameters<typeof downTopic>[1], payload: Buffer): Promise<void> {
    await this.client?.publishAsync(downTopic(this.device, topic), payload, { qos: 1 });
  }

  async acknowledgeAll(window = 32): Promise<void> {
    for (const { header } of this.batches) await this.acknowledge(header, window);
  }

  /** Resolves as soon as `find` answers; asked again with each message that comes. */
  until<T>(find: () => T | undefined | false): Promise<T> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = find();
        if (found === undefined || found === false) return;
        this.events.off('message', look);
        resolve(found);
      };
      this.events.on('message', look);
      look();
    });
  }

  untilState(run: string, state: RunReport['state'], revisionMin = 0): Promise<RunReport> {
    return this.until(() => this.reports.find((r) => r.run === run && r.state === state && r.revision >= revisionMin));
  }

  /** The u32 at `offset` of each record of each ring batch, one batch number counted once, as a ledger would. */
  recordValues(offset: number): number[] {
    const seen = new Set<string>();
    return this.batches.flatMap(({ header, sections }) => {
      const key = `${header.stream}/${header.epoch}/${header.number}`;
      if (header.source.kind !== 'ring' || seen.has(key)) return [];
      seen.add(key);
      const { bytes, offsets } = ringRecords(header, sections);
      const view = Buffer.from(bytes);
      return [...offsets].map((at) => view.readUInt32LE(at + offset));
    });
  }

  private async connect(): Promise<void> {
    this.client = await connectTestMqtt({
      port: this.broker?.serverPort ?? 0,
      ca: this.ca.ca,
      certificate: await this.ca.issueServer(),
      clientId: 'server-test',
    });
    this.client.on('message', (topic, payload) => {
      this.receive(topic, payload)
        // A broker that a test has stopped takes no answers.
        .catch(() => undefined)
        .then(() => this.events.emit('message'));
    });
    await this.client.subscribeAsync('bpfleet/1/+/up/#', { qos: 1 });
  }

  private async receive(text: string, payload: Buffer): Promise<void> {
    const topic = parseUpTopic(text)?.topic;
    switch (topic?.kind) {
      case 'birth':
        this.births.push(parseMessage(birthSchema, payload));
        return;
      case 'sync':
        return this.answerSync(parseMessage(syncSchema, payload));
      case 'get':
        return this.answerGet(topic.rid, parseMessage(getSchema, payload));
      case 'run':
        this.reports.push(parseMessage(runReportSchema, payload));
        return;
      case 'blob':
        this.uploads.push({ digest: topic.digest, ...decodeUploadChunk(payload) });
        return;
      case 'res':
        this.results.push(parseMessage(commandResultSchema, payload));
        return;
      case 'reported':
        this.reported.push(parseMessage(reportedSchema, payload));
        return;
      case 'telemetry': {
        const { header, body } = decodeBatchHeader(payload);
        this.batches.push({ header, sections: decodeBatchBody(header, body) });
        if (this.acknowledging) await this.acknowledge(header);
        return;
      }
      default:
        return;
    }
  }

  private async acknowledge({ stream, epoch, number }: BatchHeader, window = 32): Promise<void> {
    await this.send({ kind: 'ack', stream }, encodeMessage({ v: 1, epoch, ranges: [[number, number]], window }));
  }

  private async answerSync(sync: Sync): Promise<void> {
    this.syncs.push(sync);
    const fresh = signDocument(
      'fresh',
      {
        type: 'fresh',
        device: this.device,
        nonce: sync.nonce,
        time: new Date().toISOString(),
        generation: this.generation,
        digests: { root: digestOf(this.root), desired: digestOf(this.desiredBytes), revocation: null },
      },
      [this.director],
    );
    await this.send({ kind: 'fresh' }, this.tamper('fresh', fresh));
    if (sync.held.desired === digestOf(this.desiredBytes)) return;
    await this.send({ kind: 'desired' }, this.tamper('desired', this.desiredBytes));
  }

  private async answerGet(rid: string, get: Get): Promise<void> {
    this.gets.push(get);
    if (get.kind === 'blob') {
      const blob = this.blobs.get(get.digest);
      const bytes = blob?.subarray(get.offset, get.offset + get.bytesMax) ?? Buffer.alloc(0);
      const chunk = blob ? encodeBlobChunk({ offset: get.offset, totalBytes: blob.length, bytes }) : Buffer.alloc(0);
      return this.send({ kind: 'blob', rid }, this.tamper('blob', chunk));
    }
    const document = get.kind === 'root' ? undefined : this.documents.get(get.digest);
    const refusal = encodeMessage({ error: { code: 'NOT_FOUND', message: 'no such document' } });
    return this.send({ kind: 'doc', rid }, document ? this.tamper('doc', document) : refusal);
  }

  private signDesired(entries: readonly DesiredEntry[]): Buffer {
    const { device, generation } = this;
    return signDocument('desired', { type: 'desired', device, generation, entries: [...entries] }, [this.director]);
  }
}

/** One bit of the byte in the middle. */
export function flipByte(bytes: Buffer): Buffer {
  const bent = Buffer.from(bytes);
  const middle = bent.length >> 1;
  bent[middle] = (bent[middle] as number) ^ 1;
  return bent;
}
