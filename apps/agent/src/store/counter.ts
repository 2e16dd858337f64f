import * as z from 'zod';
import { JsonFile } from './json-file.js';
import { directWriter, type StateWriter } from './state-port.js';

const schema = z.object({ value: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER) });
/** All values are as long as the longest, within one sector: a disk without room can still have it overwritten whole. */
const FILE_BYTES = 64;

/** A number that only rises, across restarts and power cuts: it is on the disk before anybody sees it. */
export class Counter {
  private readonly file: JsonFile<{ value: number }>;
  private handedOut = 0;

  constructor(
    private readonly path: string,
    private readonly writer: StateWriter = directWriter,
  ) {
    this.file = new JsonFile(path, schema, 1024);
  }

  get value(): number {
    return Math.max(this.file.read()?.value ?? 0, this.handedOut);
  }

  /**
   * At least `floor` + 1, for when something else remembers more than the file does.
   * @throws AgentError STATE_UNWRITABLE; then the number has not been used
   */
  next(floor = 0): number {
    const value = Math.max(this.value, floor) + 1;
    const bytes = Buffer.from(JSON.stringify({ value }).padEnd(FILE_BYTES), 'utf8');
    try {
      this.writer.write(this.path, bytes);
    } catch (error) {
      this.overwrite(bytes, error);
    }
    this.handedOut = value;
    return value;
  }

  private overwrite(bytes: Buffer, reason: unknown): void {
    try {
      this.writer.overwrite(this.path, bytes);
    } catch {
      throw reason;
    }
  }
}
