import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** linux/watchdog.h, WDIOF_CARDRESET: the last reset was the watchdog's. */
const RESET_BY_WATCHDOG = 0x20;
/** Where the kernel shows dumps of earlier boots, and where systemd-pstore moves them to, one folder for each. */
const DUMPS = ['sys/fs/pstore', 'var/lib/systemd/pstore'] as const;
const DUMPS_MAX = 256;

/** What tells, after a boot, how the one before it ended. Nothing here fails: most devices have neither. */
export interface CrashEvidence {
  /** Dumps that are there, each by a name that another one does not have. */
  dumps(): string[];
  /** The hardware says that its watchdog had to reset it. */
  resetByWatchdog(): boolean;
}

/** @param root of the file system, for tests */
export function crashEvidence(root = '/'): CrashEvidence {
  return {
    dumps: () => DUMPS.flatMap((folder) => dumpsIn(join(root, folder))).slice(0, DUMPS_MAX),
    resetByWatchdog: () =>
      namesIn(join(root, 'sys/class/watchdog')).some((name) => {
        const status = Number(textOf(join(root, 'sys/class/watchdog', name, 'bootstatus')));
        return (status & RESET_BY_WATCHDOG) !== 0;
      }),
  };
}

/** A backend of pstore gives each dump the name of the one before it, but not its time. */
function dumpsIn(folder: string): string[] {
  return namesIn(folder).flatMap((name) => {
    // `console-ramoops-0` and its like are there after every boot.
    if (!/^(dmesg-|\d)/.test(name)) return [];
    try {
      const { mtimeMs, size } = statSync(join(folder, name));
      return [`${folder}/${name} ${mtimeMs} ${size}`];
    } catch {
      return [];
    }
  });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return '';
  }
}
