import { Injectable } from '@nestjs/common';
import { Clock } from '../../platform/clock.js';
import { AuditLog, type AuditRecord } from '../audit/log/index.js';

const WINDOW_MS = 60_000;
const ROWS_PER_WINDOW_MAX = 30;

/**
 * Wrong passwords in the audit log: each kind of entry once a minute, and a few in all, since whoever floods the log-in must
 * not fill the log as well. What was left out is counted in the first entry of a later minute.
 */
@Injectable()
export class RefusedLogIns {
  private readonly noted = new Set<string>();
  private windowStart = 0;
  private unrecorded = 0;

  constructor(
    private readonly audit: AuditLog,
    private readonly clock: Clock,
  ) {}

  async note(entry: AuditRecord): Promise<void> {
    const now = this.clock.now().getTime();
    if (now - this.windowStart >= WINDOW_MS || now < this.windowStart) {
      this.windowStart = now;
      this.noted.clear();
    }
    const key = JSON.stringify(entry);
    if (this.noted.has(key) || this.noted.size >= ROWS_PER_WINDOW_MAX) {
      this.unrecorded += 1;
      return;
    }
    this.noted.add(key);
    const { unrecorded } = this;
    this.unrecorded = 0;
    await this.audit.recordAlone({
      ...entry,
      details: { ...entry.details, ...(unrecorded > 0 ? { unrecorded } : {}) },
    });
  }
}
