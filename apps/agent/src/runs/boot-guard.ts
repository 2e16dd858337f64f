import { beginBoot, hasLived, isHeld, LIVED_SECONDS, type BootRecord } from '../core/boot-guard.js';
import type { BootPoint } from '../core/lease.js';
import type { CrashEvidence } from '../kernel/crash-evidence.js';
import { errorFacts, type Log } from '../log.js';

export interface BootGuardOptions {
  readonly saved: {
    read(): BootRecord | undefined;
    write(record: BootRecord): void;
    writeSoon(record: BootRecord): void;
  };
  readonly evidence: CrashEvidence;
  readonly now: () => BootPoint;
  readonly log: Log;
}

/** How the boots before this one ended, on the disk before anything is attached. */
export class BootGuard {
  private record: BootRecord;
  /** What says that the boot before this one ended by a crash. */
  readonly crash: string | undefined;

  constructor(private readonly options: BootGuardOptions) {
    const { saved, evidence, now, log } = options;
    const before = saved.read();
    const { bootId } = now();
    const dumps = evidence.dumps();
    this.record = beginBoot(before, bootId, dumps);
    const isNew = before !== undefined && before.bootId !== bootId && !before.shutDown;
    this.crash = isNew ? crashOf(before, dumps, evidence) : undefined;
    this.write();
    if (isHeld(this.record))
      log('error', 'boot.held', { earlyEnds: this.record.earlyEnds, untilSeconds: LIVED_SECONDS });
  }

  /** Until then nothing may be attached; undefined when it may. */
  get heldUntil(): BootPoint | undefined {
    return isHeld(this.record) ? { bootId: this.record.bootId, seconds: LIVED_SECONDS } : undefined;
  }

  /** Before anything is attached. On the disk when it returns, if that takes anything. */
  arm(): void {
    if (this.record.armed) return;
    this.record = { ...this.record, armed: true };
    this.write();
  }

  /** Call it once a second or so. */
  tick(): void {
    this.set(hasLived(this.record, this.options.now()));
  }

  /** Nothing of this agent is in the kernel any more. */
  shutDown(): void {
    this.set({ ...this.record, shutDown: true });
  }

  /** A boot that nobody can count does not keep the agent from its work. */
  private write(): void {
    try {
      this.options.saved.write(this.record);
    } catch (error) {
      this.options.log('warn', 'boot.unwritable', errorFacts(error));
    }
  }

  private set(record: BootRecord | undefined): void {
    if (record === undefined) return;
    this.record = record;
    this.options.saved.writeSoon(record);
  }
}

function crashOf(before: BootRecord, dumps: readonly string[], evidence: CrashEvidence): string | undefined {
  if (dumps.some((dump) => !before.dumps.includes(dump))) return "the kernel left a crash dump (pstore's)";
  return evidence.resetByWatchdog() ? 'the watchdog had to reset it' : undefined;
}
