import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeLeaseSheet, type LeaseSheet } from '../core/lease-sheet.js';

/**
 * The sheet of one device, on tmpfs: it means nothing after a reboot, and a heartbeat must not wear out flash. It outlives
 * the agent on purpose; `remove` is for an agent that leaves nothing in the kernel.
 */
export class LeaseSheetFile {
  private readonly path: string;

  constructor(
    private readonly folder: string,
    device: string,
  ) {
    this.path = join(folder, `${device}.leases`);
  }

  /** @throws what the system says when the folder cannot be written */
  write(sheet: LeaseSheet): void {
    mkdirSync(this.folder, { recursive: true, mode: 0o755 });
    const half = `${this.path}.new`;
    writeFileSync(half, encodeLeaseSheet(sheet), { mode: 0o644 });
    renameSync(half, this.path);
  }

  remove(): void {
    rmSync(this.path, { force: true });
  }
}
