import { spawn, type ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** A real agent in a process of its own, so that it can be killed. */
export class AgentProcess {
  readonly lines: Record<string, unknown>[] = [];
  /** Its first line on stdout. */
  readonly ready: Promise<{ ready: boolean; device: string }>;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  private readonly child: ChildProcess;
  private readonly events = new EventEmitter();

  constructor(args: readonly string[]) {
    this.child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.exited = new Promise((resolve) => {
      this.child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    this.ready = new Promise((resolve, reject) => {
      createInterface({ input: this.child.stdout as NodeJS.ReadableStream }).once('line', (line) =>
        resolve(JSON.parse(line) as { ready: boolean; device: string }),
      );
      void this.exited.then(({ code, signal }) => reject(new Error(`agent ended: ${code ?? signal}\n${this.log()}`)));
    });
    // Not every test waits for it.
    this.ready.catch(() => undefined);
    createInterface({ input: this.child.stderr as NodeJS.ReadableStream }).on('line', (line) => {
      this.lines.push(parsed(line));
      this.events.emit('line');
    });
  }

  get pid(): number {
    return this.child.pid as number;
  }

  /** Resolves with the first line of its log that is of this event. */
  logged(event: string): Promise<Record<string, unknown>> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.lines.find((line) => line['event'] === event);
        if (!found) return;
        this.events.off('line', look);
        resolve(found);
      };
      this.events.on('line', look);
      look();
    });
  }

  count(event: string): number {
    return this.lines.filter((line) => line['event'] === event).length;
  }

  /** As when the program that collected the log has died. */
  closeLog(): void {
    this.child.stdout?.destroy();
    this.child.stderr?.destroy();
  }

  log(): string {
    return this.lines.map((line) => JSON.stringify(line)).join('\n');
  }

  signal(name: NodeJS.Signals): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    this.child.kill(name);
    return this.exited;
  }
}

function parsed(line: string): Record<string, unknown> {
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return { text: line };
  }
}
