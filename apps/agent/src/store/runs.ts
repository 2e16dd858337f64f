import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { documentRules, type DesiredEntry } from '@bpfleet/trust';
import { reportedRunStates, runErrorSchema, runIdPattern } from '@bpfleet/wire';
import * as z from 'zod';
import type { RunRecord } from '../core/run-record.js';
import { JsonFile } from './json-file.js';
import { directWriter, type StateWriter } from './state-port.js';

const count = z.number().min(0).max(Number.MAX_SAFE_INTEGER);
const bootPoint = z.object({ bootId: z.string().max(64), seconds: z.number().min(0) });

/** An entry has no schema of its own outside of its document. */
const entrySchema = z.unknown().transform((value, context): DesiredEntry => {
  const whole = { type: 'desired', device: 'd00000000', generation: 0, entries: [value] };
  const entry = documentRules.desired.schema.safeParse(whole).data?.entries[0];
  if (entry) return entry;
  context.addIssue({ code: 'custom', message: 'not an entry of a desired state' });
  return z.NEVER;
});

const kernelIds = z.object({
  bootId: z.string().max(64),
  programs: z.array(z.object({ name: z.string(), id: count })).max(256),
  maps: z.array(z.object({ name: z.string(), id: count })).max(256),
  links: z.array(z.object({ pin: z.string().max(255).nullable(), id: count.nullable() })).max(8192),
});

const recordSchema: z.ZodType<RunRecord> = z.object({
  v: z.literal(1),
  run: z.string().regex(runIdPattern),
  entry: entrySchema,
  state: z.enum(reportedRunStates),
  revision: count,
  error: runErrorSchema.nullable(),
  attempts: count,
  retryAt: bootPoint.nullable(),
  kernel: z.string().max(256),
  firstAttach: bootPoint.nullable(),
  inKernel: kernelIds.nullable(),
  adopted: z.boolean(),
  // Agents before these two existed wrote neither.
  uncleanBoots: count.default(0),
  soaked: z.boolean().default(false),
  counters: z.object({
    runCount: count,
    runTimeNs: count,
    kernelDrops: count,
    rateDrops: count,
    spoolDrops: count,
    eventsSeen: count,
  }),
});

/** One file a run. */
export class RunStore {
  private readonly folder: string;

  constructor(
    stateFolder: string,
    private readonly writer: StateWriter = directWriter,
  ) {
    this.folder = join(stateFolder, 'runs');
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
  }

  /** Every run whose file can be read; of the others the ids, so that their pins can be removed. */
  load(): { records: RunRecord[]; unreadable: string[] } {
    const records: RunRecord[] = [];
    const unreadable: string[] = [];
    for (const name of readdirSync(this.folder).filter((file) => file.endsWith('.json'))) {
      const run = name.slice(0, -'.json'.length);
      const record = runIdPattern.test(run) ? this.file(run).read() : undefined;
      if (record?.run === run) records.push(record);
      else unreadable.push(run);
    }
    return { records, unreadable };
  }

  /** On the disk when it returns. @throws AgentError STATE_UNWRITABLE */
  save(record: RunRecord): void {
    this.file(record.run).write(record);
  }

  /** On the disk as soon as it takes it: of what has happened already, or is no step into the kernel. */
  saveSoon(record: RunRecord): void {
    this.file(record.run).writeSoon(record);
  }

  remove(run: string): void {
    this.file(run).remove();
  }

  private file(run: string): JsonFile<RunRecord> {
    return new JsonFile(join(this.folder, `${run}.json`), recordSchema, 1024 * 1024, this.writer);
  }
}
