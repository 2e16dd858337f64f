import { advanceLease, renewLease, type BootPoint, type LeaseClock } from '../core/lease.js';
import type { LeaseSheet } from '../core/lease-sheet.js';
import { errorFacts, type Log } from '../log.js';

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

  constructor(private readonly options: LeaseKeeperOptions) {
    const now = options.now();
    this.clock = advanceLease(options.saved.read() ?? renewLease(now), now);
  }

  get elapsedSeconds(): number {
    return advanceLease(this.clock, this.options.now()).elapsedSeconds;
  }

  renew(): void {
    this.clock = renewLease(this.options.now());
    this.save();
    this.beat();
  }

  save(): void {
    this.clock = advanceLease(this.clock, this.options.now());
    this.options.saved.writeSoon(this.clock);
  }

  /** The agent lives. Call it at least once a minute: after five without, the reaper takes everything out of the kernel. */
  beat(): void {
    const { sheet, now, runs, log } = this.options;
    const heartbeat = now();
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
