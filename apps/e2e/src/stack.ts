import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createClient, type ApiClient } from '@bpfleet/api';
import { freePort, startEmbeddedPostgres, type EmbeddedPostgres } from '@bpfleet/embedded';
import pg from 'pg';
import { startNode, until, type StartedProcess } from './process.js';

const run = promisify(execFile);
export const repositoryDir = join(import.meta.dirname, '../../..');
const serverMain = join(repositoryDir, 'apps/server/dist/main.js');
const agentMain = join(repositoryDir, 'apps/agent/dist/main.js');
const cliMain = join(repositoryDir, 'apps/cli/dist/main.js');

export type Part = 'broker' | 'server' | 'ingest' | 'lab' | 'agent';

/** A broker that is not ours: where the server and where devices reach it. */
export interface ForeignBroker {
  readonly serverUrl: string;
  readonly deviceUrl: string;
}

export interface StackOptions {
  /** Default: the embedded broker, as a process of its own. Called once the server's authority is there. */
  readonly foreignBroker?: (dataDir: string) => Promise<ForeignBroker>;
  /** Where devices reach this machine, if not on their own loopback: `10.0.2.2` from a VM. */
  readonly deviceHost?: string;
  /** Further settings of the server. */
  readonly environment?: Record<string, string>;
}

/**
 * The whole product as processes on free ports with a throw-away data folder: what a user runs, and each part can be
 * killed and started again.
 */
export class Stack {
  private readonly parts = new Map<Part, StartedProcess>();
  private environment: Record<string, string> = {};
  private enrolled = false;
  postgres: EmbeddedPostgres | undefined;
  token = '';

  private constructor(
    readonly dir: string,
    readonly httpPort: number,
    private readonly postgresPort: number,
  ) {}

  static readonly password = 'a long enough password';

  static async start(options: StackOptions = {}): Promise<Stack> {
    const dir = mkdtempSync(join(tmpdir(), 'bpfleet-e2e-'));
    chmodSync(dir, 0o711);
    const stack = new Stack(dir, await freePort(), await freePort());
    try {
      await stack.startServerSide(options);
    } catch (error) {
      await stack.stop();
      throw error;
    }
    return stack;
  }

  get url(): string {
    return `http://127.0.0.1:${this.httpPort}`;
  }

  get api(): ApiClient {
    return createClient({ baseUrl: this.url, token: this.token });
  }

  get databaseUrl(): string {
    return this.environment.BPFLEET_DATABASE_URL ?? '';
  }

  private async startServerSide(options: StackOptions): Promise<void> {
    await this.startPostgres();
    const mqttPort = await freePort();
    const mqttUrl = `mqtts://127.0.0.1:${mqttPort}`;
    const { deviceHost = '127.0.0.1' } = options;
    this.environment = {
      BPFLEET_DATABASE_URL: this.postgres?.url ?? '',
      BPFLEET_DATA_DIR: join(this.dir, 'server'),
      BPFLEET_HTTP_PORT: String(this.httpPort),
      BPFLEET_MQTT_PORT: String(mqttPort),
      BPFLEET_MQTT_URL: mqttUrl,
      BPFLEET_ADMIN_PASSWORD: Stack.password,
      BPFLEET_WEB_DIR: join(repositoryDir, 'apps/web/dist'),
      BPFLEET_MQTT_PUBLIC_URL: `mqtts://${deviceHost}:${mqttPort}`,
      BPFLEET_TLS_NAMES: deviceHost,
      BPFLEET_PUBLIC_URL: `http://${deviceHost}:${this.httpPort}`,
      ...options.environment,
    };
    if (options.foreignBroker) {
      const broker = await options.foreignBroker(join(this.dir, 'server'));
      this.environment.BPFLEET_MQTT_URL = broker.serverUrl;
      this.environment.BPFLEET_MQTT_PUBLIC_URL = broker.deviceUrl;
    } else {
      await this.startPart('broker');
    }
    await this.startPart('server');
    await this.startPart('ingest');
    this.token = await this.logIn();
  }

  /** Asks the database itself: what dashboards and people's SQL would see. */
  async query<Row extends pg.QueryResultRow>(sql: string, values: readonly unknown[] = []): Promise<Row[]> {
    const client = new pg.Client({ connectionString: this.databaseUrl });
    await client.connect();
    try {
      return (await client.query<Row>(sql, [...values])).rows;
    } finally {
      await client.end();
    }
  }

  async startPostgres(): Promise<void> {
    this.postgres = await startEmbeddedPostgres({
      dataDir: join(this.dir, 'postgres'),
      port: this.postgresPort,
      database: 'bpfleet',
    });
  }

  async stopPostgres(): Promise<void> {
    await this.postgres?.stop();
    this.postgres = undefined;
  }

  /** `agentOptions` are those of `bpfleet-agent run`. */
  async startPart(part: Part, agentOptions: readonly string[] = []): Promise<void> {
    const log = join(this.dir, 'log', `${part}.log`);
    if (part === 'agent') {
      this.parts.set(
        part,
        await startNode(part, agentMain, ['run', '--state', this.agentState, ...agentOptions], {}, log),
      );
      return;
    }
    const roles = { broker: 'broker', server: 'api,control', ingest: 'ingest', lab: 'lab' }[part];
    const environment = { ...this.environment, BPFLEET_ROLES: roles };
    this.parts.set(part, await startNode(part, serverMain, [], environment, log));
  }

  async endPart(part: Part, signal: NodeJS.Signals): Promise<void> {
    await this.parts.get(part)?.end(signal);
    this.parts.delete(part);
  }

  get agentState(): string {
    return join(this.dir, 'agent');
  }

  /** Enrols an agent of this machine with a one-use token and starts it; resolves with the device's id. */
  async startAgent(): Promise<string> {
    const { token } = await this.api.call('createEnrolmentToken', { body: { name: 'this-machine' } });
    await run(process.execPath, [
      agentMain,
      'enrol',
      '--server',
      this.url,
      '--token',
      token,
      '--state',
      this.agentState,
    ]);
    this.enrolled = true;
    await this.startPart('agent');
    const device = await until('the device is online', async () => {
      const { items } = await this.api.call('listDevices', {});
      return items.find((item) => item.online && item.facts !== null);
    });
    return device.id;
  }

  /** `bpfleet …` as a user would type it. */
  async cli(...args: string[]): Promise<{ stdout: string; stderr: string; code: number }> {
    const env = { PATH: process.env.PATH, HOME: this.dir, BPFLEET_SERVER: this.url, BPFLEET_TOKEN: this.token };
    return run(process.execPath, [cliMain, ...args], { env, maxBuffer: 64 * 1024 * 1024 }).then(
      ({ stdout, stderr }) => ({ stdout, stderr, code: 0 }),
      (error: { stdout: string; stderr: string; code: number }) => error,
    );
  }

  /** Publishes a built-in probe and assigns it to every device; resolves when it is attached on `device`. */
  async assign(probe: string, device: string, params: Record<string, string | number> = {}): Promise<string> {
    const release = await this.publishBuiltIn(probe);
    await this.api.call('createAssignment', { body: { releaseId: release, selector: 'all', params } });
    return this.attached(probe, device);
  }

  publishBuiltIn(probe: string): Promise<string> {
    return this.publish(join(repositoryDir, 'libs/probes', probe));
  }

  async publish(folder: string): Promise<string> {
    const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
    const sources = readdirSync(folder)
      .filter((name) => name.endsWith('.bpf.c') || name.endsWith('.h'))
      .map((name) => ({ name, text: read(name) }));
    return (await this.api.call('publish', { body: { manifest: read('probe.yaml'), sources } })).id;
  }

  async attached(probe: string, device: string): Promise<string> {
    const found = await until(`${probe} is attached on ${device}`, async () => {
      const { items } = await this.api.call('listRuns', { query: { device, live: 'true' } });
      const own = items.find((item) => item.probe === probe && item.kind === 'assignment');
      if (own && ['REJECTED', 'FAILED'].includes(own.state)) {
        throw new Error(`${own.state} ${own.error?.code}: ${own.error?.message}\n${own.error?.log ?? ''}`);
      }
      return own?.state === 'ATTACHED' || own?.state === 'SOAKED' || own?.state === 'SUCCEEDED' ? own : undefined;
    });
    return found.id;
  }

  private async logIn(): Promise<string> {
    const session = await fetch(`${this.url}/api/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: 'admin', password: Stack.password }),
    });
    const cookie = (session.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
    const answer = await fetch(`${this.url}/api/tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', cookie },
      body: JSON.stringify({ name: 'e2e' }),
    });
    return ((await answer.json()) as { token: string }).token;
  }

  /** In the order that leaves nothing in the kernel: the agent first, by SIGTERM. */
  async stop(): Promise<void> {
    if (this.enrolled && !this.parts.has('agent')) await this.startPart('agent').catch(() => undefined);
    for (const part of ['agent', 'lab', 'ingest', 'server', 'broker'] as const) await this.endPart(part, 'SIGTERM');
    await this.stopPostgres();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
