import { createWriteStream, mkdirSync } from 'node:fs';
import type { WriteStream } from 'node:fs';
import { dirname } from 'node:path';

const LINE_BYTES_MAX = 1024;
const TAIL_LINES = 40;
const FILE_BYTES_MAX = 8 * 1024 * 1024;
const PANIC = /Kernel panic - not syncing: (.*)/;

/** What the guest's kernel says: kept in a file, with the last lines at hand for errors. */
export class ConsoleLog {
  readonly #file: WriteStream;
  readonly #lines: string[] = [];
  #partial = '';
  #bytes = 0;
  #panic: string | undefined;
  #finished = false;

  constructor(readonly path: string) {
    mkdirSync(dirname(path), { recursive: true });
    this.#file = createWriteStream(path);
  }

  write(chunk: Buffer): void {
    this.#bytes += chunk.byteLength;
    if (this.#bytes <= FILE_BYTES_MAX && !this.#finished) this.#file.write(chunk);
    const pieces = (this.#partial + chunk.toString('latin1')).split('\n');
    this.#partial = (pieces.pop() ?? '').slice(-LINE_BYTES_MAX);
    for (const piece of pieces) this.#add(piece);
  }

  #add(piece: string): void {
    // A guest's bytes are shown on somebody's terminal: no escape sequence gets through.
    const line = piece
      .replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '')
      .replace(/[^\x20-\x7e\t]/g, '')
      .slice(0, LINE_BYTES_MAX);
    if (line === '') return;
    this.#panic ??= PANIC.exec(line)?.[1];
    this.#lines.push(line);
    if (this.#lines.length > TAIL_LINES) this.#lines.shift();
  }

  /** The reason of the kernel's panic since the last start. */
  get panic(): string | undefined {
    return this.#panic;
  }

  forgetPanic(): void {
    this.#panic = undefined;
  }

  tail(): readonly string[] {
    return [...this.#lines, ...(this.#partial === '' ? [] : [this.#partial])];
  }

  close(): Promise<void> {
    this.#finished = true;
    return new Promise((resolve) => this.#file.end(resolve));
  }
}
