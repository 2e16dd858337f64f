import type { Facts } from '@bpfleet/wire';
import type { AgentSettings } from './agent-settings.js';
import type { LeaseSheet } from './core/lease-sheet.js';
import type { BootClock } from './kernel/boot-clock.js';
import type { CrashEvidence } from './kernel/crash-evidence.js';
import type { Kernel } from './kernel/port.js';
import type { Log } from './log.js';
import type { StateFolder } from './store/state-folder.js';

/** All that an agent stands on. */
export interface AgentOptions {
  readonly state: StateFolder;
  readonly kernel: Kernel;
  readonly kernelKey: string;
  readonly facts: Facts;
  /** The file that `facts.btfDigest` is of. */
  readonly btfPath?: string;
  readonly clock: BootClock;
  /** Of how the boot before this one ended. Absent: what this machine shows. */
  readonly evidence?: CrashEvidence;
  readonly log: Log;
  readonly settings?: AgentSettings;
  /** What the reaper reads. Absent: nobody reaps. */
  readonly leaseSheet?: { write(sheet: LeaseSheet): void; remove(): void };
  /** The first connection of this process stands. */
  readonly onReady?: () => void;
}
