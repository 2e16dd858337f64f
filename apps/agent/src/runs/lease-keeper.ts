import { advanceLease, renewLease, secondsSince, type BootPoint, type LeaseClock } from '../core/lease.js';
import type { LeaseSheet } from '../core/lease-sheet.js';
import { errorFacts, type Log } from '../log.js';

const HEARTBEAT_SECONDS = 60;

export interface LeaseKeeperOptions {
  readonly saved: { read(): LeaseClock | undefined; writeSoon(clock: LeaseClock): void };
  /** Absent where nobody reaps, as in most tests. */
  readonly sheet: { write(sheet: LeaseSheet): void; remove(): void } | undefined;
  readonly now: () => BootPoint;
  /** Runs that have or may soon have something in the kernel. */
  readonly runs: () => readonly { readonly run: string; readonly leaseSeconds: number }[];
  readonly log: Log;
}

/** How long ago the server's last word was: on the disk for the next agent, on the sheet for the reaper. */
export class LeaseKeeper {
  private clock: LeaseClock;
  private sheetFails = false;
  private beatenAt: BootPoint | undefined;

  constructor(private readonly options: LeaseKeeperOptions) {
    const now = options.now();
    this.clock = advanceLease(options.saved.read() ?? renewLease(now), now);
  }

  get elapsedSeconds(): number {
    return advanceLease(this.clock, this.options.now()).elapsedSeconds;
  }

  /** `at`: when the server's word came; of this boot. */
  renew(at: BootPoint): void {
    this.clock = renewLease(at);
    this.save();
    this.beat();
  }

  save(): void {
    this.clock = advanceLease(this.clock, this.options.now());
    this.options.saved.writeSoon(this.clock);
  }

  /**
   * Call it once a second or so: beats when that is due, on CLOCK_BOOTTIME. Timers stand still while the device is suspended, and
   * the reaper, which does not know that anybody slept, may look right after it has woken up.
   */
  tick(): void {
    if (this.beatenAt === undefined || secondsSince(this.beatenAt, this.options.now()) >= HEARTBEAT_SECONDS)
      this.beat();
  }

  /** The agent lives. After five minutes without, the reaper takes everything out of the kernel. */
  beat(): void {
    const { sheet, now, runs, log } = this.options;
    const heartbeat = (this.beatenAt = now());
    const elapsed = this.elapsedSeconds;
    const leases = runs().map(({ run, leaseSeconds }) => ({
      run,
      untilSeconds: heartbeat.seconds + leaseSeconds - elapsed,
    }));
    try {
      sheet?.write({ heartbeat, runs: leases });
      this.sheetFails = false;
    } catch (error) {
      // Said once: an installed reaper would take the runs of an agent that cannot be heard.
      if (!this.sheetFails) log('warn', 'leases.unwritable', errorFacts(error));
      this.sheetFails = true;
    }
  }

  /** Nothing of this agent is left in the kernel. */
  end(): void {
    this.options.sheet?.remove();
  }
}
