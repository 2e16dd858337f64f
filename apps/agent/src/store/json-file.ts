import { readFileBounded } from '@bpfleet/trust';
import type * as z from 'zod';
import { directWriter, type StateWriter } from './state-port.js';

/**
 * One JSON value in one file, replaced atomically. A file that does not hold what it should (a disk that lied about
 * fsync, a hand that edited) is answered with the copy before it, else with nothing: the caller begins anew.
 */
export class JsonFile<T> {
  constructor(
    private readonly path: string,
    private readonly schema: z.ZodType<T>,
    private readonly bytesMax = 256 * 1024,
    private readonly writer: StateWriter = directWriter,
  ) {}

  read(): T | undefined {
    return this.parse(this.path) ?? this.parse(`${this.path}.previous`);
  }

  /** On the disk when it returns. @throws AgentError STATE_UNWRITABLE */
  write(value: T): void {
    this.writer.write(this.path, bytesOf(value));
  }

  /** On the disk as soon as it takes it. */
  writeSoon(value: T): void {
    this.writer.writeSoon(this.path, bytesOf(value));
  }

  remove(): void {
    for (const path of [this.path, `${this.path}.previous`]) this.writer.remove(path);
  }

  private parse(path: string): T | undefined {
    try {
      const bytes = readFileBounded(path, this.bytesMax);
      return bytes && this.schema.parse(JSON.parse(bytes.toString('utf8')));
    } catch {
      return undefined;
    }
  }
}

function bytesOf(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value), 'utf8');
}
