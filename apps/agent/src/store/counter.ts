import { z } from 'zod';
import { JsonFile } from './json-file.js';

const schema = z.object({ value: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER) });

/** A number that only rises, across restarts and power cuts: it is on the disk before anybody sees it. */
export class Counter {
  private readonly file: JsonFile<{ value: number }>;

  constructor(path: string) {
    this.file = new JsonFile(path, schema, 1024);
  }

  get value(): number {
    return this.file.read()?.value ?? 0;
  }

  /** At least `floor` + 1, for when something else remembers more than the file does. */
  next(floor = 0): number {
    const value = Math.max(this.value, floor) + 1;
    this.file.write({ value });
    return value;
  }
}
