import { startEmbeddedPostgres } from '@bpfleet/embedded';
import type { EmbeddedPostgres, EmbeddedPostgresOptions } from '@bpfleet/embedded';
import type { ProcessEvents } from './managed-process.js';
import { RestartPolicy } from './restart-policy.js';
import type { Service } from './services.js';

/** The embedded PostgreSQL, started again in the same place when it dies. */
export class PostgresService implements Service {
  readonly name = 'PostgreSQL';
  private server: EmbeddedPostgres | undefined;
  private starting: Promise<EmbeddedPostgres> | undefined;
  private stopping = false;
  private restart: NodeJS.Timeout | undefined;

  constructor(
    private readonly options: EmbeddedPostgresOptions,
    private readonly events: ProcessEvents,
    private readonly policy = new RestartPolicy(),
  ) {}

  /** @returns its connection string @throws EmbeddedError */
  async start(): Promise<string> {
    this.starting = startEmbeddedPostgres(this.options);
    const server = await this.starting;
    this.server = server;
    void server.exited.then((how) => this.onDeath(how));
    return server.url;
  }

  async stop(): Promise<void> {
    this.stopping = true;
    clearTimeout(this.restart);
    await this.starting?.catch(() => undefined);
    await this.server?.stop();
  }

  private onDeath(how: string): void {
    if (this.stopping) return;
    const delayMs = this.policy.delayAfterDeath(performance.now());
    if (delayMs === undefined) {
      this.events.onGaveUp(`${this.name} died too often and stays down (${how}); see ${this.options.logFile}.`);
      return;
    }
    this.events.say(`${this.name} ${how} and is started again`);
    this.restart = setTimeout(() => {
      this.start().catch((error: Error) => this.onDeath(error.message));
    }, delayMs);
  }
}
