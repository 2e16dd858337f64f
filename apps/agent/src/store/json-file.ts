import { rmSync } from 'node:fs';
import { readFileBounded, writeFileAtomic } from '@bpfleet/trust';
import type { z } from 'zod';

/**
 * One JSON value in one file, replaced atomically. A file that does not hold what it should (a disk that lied about
 * fsync, a hand that edited) is answered with the copy before it, else with nothing: the caller begins anew.
 */
export class JsonFile<T> {
  constructor(
    private readonly path: string,
    private readonly schema: z.ZodType<T>,
    private readonly bytesMax = 256 * 1024,
  ) {}

  read(): T | undefined {
    return this.parse(this.path) ?? this.parse(`${this.path}.previous`);
  }

  write(value: T): void {
    writeFileAtomic(this.path, Buffer.from(JSON.stringify(value), 'utf8'));
  }

  remove(): void {
    for (const path of [this.path, `${this.path}.previous`]) rmSync(path, { force: true });
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
