import { EventEmitter } from 'node:events';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';

/** QEMU's machine protocol: one JSON object a line, answers in the order of the commands, events in between. */
interface QmpMessage {
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
  readonly event?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

export interface QmpEvents {
  RESET: [{ readonly guest?: boolean; readonly reason?: string }];
  SHUTDOWN: [{ readonly guest?: boolean; readonly reason?: string }];
}

/** Emits QEMU's events by their names. Bounded by QEMU itself, which is our own child. */
export class Qmp extends EventEmitter<QmpEvents> {
  readonly #waiting: { resolve: (value: unknown) => void; reject: (error: Error) => void }[] = [];
  #closed = false;

  constructor(private readonly stream: Duplex) {
    super();
    const lines = createInterface({ input: stream });
    lines.on('line', (line) => this.#handle(JSON.parse(line) as QmpMessage));
    // A QEMU that is killed resets the socket; its exit is told by its process.
    lines.on('error', () => undefined);
    stream.on('error', () => undefined);
    stream.once('close', () => {
      this.#closed = true;
      for (const one of this.#waiting.splice(0)) one.reject(new Error('QEMU has gone'));
    });
  }

  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (this.#closed) return Promise.reject(new Error('QEMU has gone'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.stream.write(
        `${JSON.stringify(args === undefined ? { execute: command } : { execute: command, arguments: args })}\n`,
      );
    });
  }

  #handle(message: QmpMessage): void {
    if (message.event === 'RESET' || message.event === 'SHUTDOWN') this.emit(message.event, message.data ?? {});
    if (message.error !== undefined) this.#waiting.shift()?.reject(new Error(`QEMU: ${message.error.desc}`));
    else if ('return' in message) this.#waiting.shift()?.resolve(message.return);
  }
}
