import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { spawnGuarded } from '@bpfleet/embedded';
import { ProcessLog } from './process-log.js';
import { Refusal } from './refusal.js';
import { RestartPolicy } from './restart-policy.js';

export interface ProcessSpec {
  /** Names the log file and the sentences. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly logDir: string;
  readonly readyTimeoutMs: number;
  readonly stopTimeoutMs: number;
}

export interface ProcessEvents {
  /** One line for a person, about a restart. */
  readonly say: (line: string) => void;
  /** It died too often; it stays down. */
  readonly onGaveUp: (sentence: string) => void;
}

export type ReadyFacts = Readonly<Record<string, unknown>>;

interface Running {
  readonly child: ChildProcess;
  readonly exited: Promise<string>;
}

/**
 * A child process that says `{"ready":true,…}` in one line on its standard output when it is. Its words go to its log; if
 * it dies later it is started again, slower each time and not for ever.
 */
export class ManagedProcess {
  private readonly log: ProcessLog;
  private running: Running | undefined;
  private stopping = false;
  private restart: NodeJS.Timeout | undefined;

  constructor(
    private readonly spec: ProcessSpec,
    private readonly events: ProcessEvents,
    private readonly policy = new RestartPolicy(),
  ) {
    this.log = new ProcessLog(spec.logDir, spec.name);
  }

  get pid(): number | undefined {
    return this.running?.child.pid;
  }

  /** @throws Refusal with the child's own last words when it ends or stays silent */
  async start(): Promise<ReadyFacts> {
    const { child, exited, ready } = this.spawn();
    const timeout = new AbortController();
    const late = new Promise<never>((_, reject) => {
      const timer = setTimeout(() => {
        reject(
          new Refusal(
            `${this.spec.name} was not ready after ${this.spec.readyTimeoutMs / 1000} s; see ${this.log.file}.`,
          ),
        );
      }, this.spec.readyTimeoutMs);
      timeout.signal.addEventListener('abort', () => clearTimeout(timer));
    });
    const ended = exited.then((how): never => {
      throw new Refusal(`${this.spec.name} ${how} at its start: ${this.log.lastReason() || 'it said nothing'}`);
    });
    try {
      const facts = await Promise.race([ready, ended, late]);
      void exited.then((how) => this.onDeath(how));
      return facts;
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    } finally {
      timeout.abort();
    }
  }

  /** SIGTERM, then patience, then SIGKILL for its whole process group. May be called again. */
  async stop(): Promise<void> {
    this.stopping = true;
    clearTimeout(this.restart);
    const running = this.running;
    if (running) {
      running.child.kill('SIGTERM');
      const impatience = setTimeout(() => this.killGroup(running.child), this.spec.stopTimeoutMs);
      await running.exited;
      clearTimeout(impatience);
    }
    this.log.close();
  }

  private killGroup(child: ChildProcess): void {
    this.events.say(`${this.spec.name} did not stop within ${this.spec.stopTimeoutMs / 1000} s and was killed`);
    try {
      process.kill(-(child.pid as number), 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  private spawn(): Running & { ready: Promise<ReadyFacts> } {
    const { command, args, env, cwd, stopTimeoutMs } = this.spec;
    this.log.begin();
    const child = spawnGuarded(command, args, {
      env,
      cwd,
      stdio: ['ignore', 'pipe', this.log.descriptor],
      stopGraceSeconds: Math.ceil(stopTimeoutMs / 1000),
    });
    const exited = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(`could not be started (${error.message})`));
      // `close` and not `exit`: its last words are still in the pipe when it exits.
      child.once('close', (code, signal) => resolve(signal ? `was ended by ${signal}` : `ended with code ${code}`));
    });
    const ready = new Promise<ReadyFacts>((resolve) => this.listen(child, resolve));
    this.running = { child, exited };
    void exited.then(() => {
      if (this.running?.child === child) this.running = undefined;
    });
    return { child, exited, ready };
  }

  private listen(child: ChildProcess, onReady: (facts: ReadyFacts) => void): void {
    if (!child.stdout) return;
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.log.write(line);
      const facts = readyFacts(line);
      if (facts) onReady(facts);
    });
  }

  private onDeath(how: string): void {
    if (this.stopping) return;
    const delayMs = this.policy.delayAfterDeath(performance.now());
    const why = this.log.lastReason();
    if (delayMs === undefined) {
      this.events.onGaveUp(`${this.spec.name} died too often and stays down (${why}); see ${this.log.file}.`);
      return;
    }
    this.events.say(`${this.spec.name} ${how} and is started again${why ? ` (it said: ${why})` : ''}`);
    this.restart = setTimeout(() => {
      this.start().catch((error: Error) => this.onDeath(error.message));
    }, delayMs);
  }
}

function readyFacts(line: string): ReadyFacts | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const parsed = JSON.parse(line) as ReadyFacts;
    return parsed['ready'] === true ? parsed : undefined;
  } catch {
    return undefined;
  }
}
