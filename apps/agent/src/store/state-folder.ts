import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import type { BootRecord } from '../core/boot-guard.js';
import type { LeaseClock } from '../core/lease.js';
import type { TrustedTime } from '../core/trusted-time.js';
import { Counter } from './counter.js';
import { DocumentStore } from './documents.js';
import { loadIdentity, type Identity } from './identity.js';
import { JsonFile } from './json-file.js';
import { lockFolder } from './lock.js';
import { RunStore } from './runs.js';
import { StateDisk, type StateDiskOptions } from './state-disk.js';

const bootPoint = z.object({ bootId: z.string().max(64), seconds: z.number().min(0) });
const leaseSchema: z.ZodType<LeaseClock> = z.object({ at: bootPoint, elapsedSeconds: z.number().min(0) });
const bootSchema: z.ZodType<BootRecord> = z.object({
  bootId: z.string().max(64),
  lived: z.boolean(),
  armed: z.boolean(),
  shutDown: z.boolean(),
  earlyEnds: z.number().int().min(0),
  dumps: z.array(z.string()),
});
const timeSchema: z.ZodType<TrustedTime> = z.object({ realtimeMs: z.number().min(0), heardAt: bootPoint });

/** Everything an agent keeps on disk, in one place. */
export class StateFolder {
  readonly identity: Identity;
  readonly disk: StateDisk;
  readonly documents: DocumentStore;
  readonly runs: RunStore;
  readonly connection: Counter;
  readonly epoch: Counter;
  readonly lease: JsonFile<LeaseClock>;
  readonly time: JsonFile<TrustedTime>;
  readonly boot: JsonFile<BootRecord>;
  readonly spoolFolder: string;
  private readonly unlock: () => void;

  /** @throws AgentError STATE_MISSING, STATE_CORRUPT, STATE_IN_USE; what the system says when it cannot even be locked */
  constructor(folder: string, disk: Omit<StateDiskOptions, 'folder'>) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.disk = new StateDisk({ ...disk, folder });
    this.identity = loadIdentity(folder);
    this.unlock = lockFolder(join(folder, 'agent.lock'));
    this.documents = new DocumentStore(folder, this.disk);
    this.runs = new RunStore(folder, this.disk);
    this.connection = new Counter(join(folder, 'counters', 'connection.json'), this.disk);
    this.epoch = new Counter(join(folder, 'counters', 'epoch.json'), this.disk);
    this.lease = new JsonFile(join(folder, 'lease.json'), leaseSchema, 4096, this.disk);
    this.time = new JsonFile(join(folder, 'time.json'), timeSchema, 4096, this.disk);
    this.boot = new JsonFile(join(folder, 'boot.json'), bootSchema, 256 * 1024, this.disk);
    this.spoolFolder = join(folder, 'spool');
    mkdirSync(this.spoolFolder, { recursive: true, mode: 0o700 });
  }

  close(): void {
    this.disk.flush();
    this.unlock();
  }
}
