import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const STOP_TIMEOUT_MS = 20_000;

/** Stops what the run's tests shared and removes the run's folder. */
export default async function globalTeardown() {
  const runDir = process.env['BPFLEET_TEST_RUN_DIR'];
  if (!runDir) return;
  const file = join(runDir, 'postgres.json');
  if (existsSync(file)) await stop(JSON.parse(readFileSync(file, 'utf8')).pid);
  rmSync(runDir, { recursive: true, force: true });
}

async function stop(pid) {
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  try {
    process.kill(pid, 'SIGINT');
    while (Date.now() < deadline) {
      process.kill(pid, 0);
      await sleep(25);
    }
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}
