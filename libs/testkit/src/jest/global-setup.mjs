import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PREFIX = 'bpfleet-test-run-';

/**
 * Gives the run a folder and a name for its owner; the workers inherit both. What costs something (PostgreSQL) is started
 * there by the first test that asks for it. Folders of runs that were killed are removed here.
 */
export default async function globalSetup() {
  for (const entry of readdirSync(tmpdir())) {
    const pid = entry.startsWith(PREFIX) ? Number.parseInt(entry.slice(PREFIX.length), 10) : Number.NaN;
    if (Number.isInteger(pid) && !existsSync(`/proc/${pid}`)) {
      rmSync(join(tmpdir(), entry), { recursive: true, force: true });
    }
  }
  const runDir = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
  // PostgreSQL runs as another user when the tests run as root.
  chmodSync(runDir, 0o711);
  process.env['BPFLEET_TEST_RUN_DIR'] = runDir;
  process.env['BPFLEET_TEST_RUN_PID'] = String(process.pid);
}
