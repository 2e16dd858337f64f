import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ManagedProcess } from './managed-process.js';
import { RestartPolicy } from './restart-policy.js';

const READY = `process.stdout.write(JSON.stringify({ ready: true, pid: process.pid }) + '\\n');`;
const STAY = 'setInterval(() => {}, 1000);';

describe('ManagedProcess', () => {
  let folder: string;
  const running: ManagedProcess[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'bpfleet-managed-'));
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((one) => one.stop()));
    rmSync(folder, { recursive: true, force: true });
  });

  function manage(
    program: string,
    options: { say?: (line: string) => void; onGaveUp?: (sentence: string) => void; restartsMax?: number } = {},
  ) {
    const spec = {
      name: 'child',
      command: process.execPath,
      args: ['-e', program],
      env: { PATH: process.env['PATH'] },
      cwd: folder,
      logDir: folder,
      readyTimeoutMs: 20_000,
      stopTimeoutMs: 5_000,
    };
    const events = { say: options.say ?? (() => undefined), onGaveUp: options.onGaveUp ?? (() => undefined) };
    const limits = { firstDelayMs: 1, delayMsMax: 1, restartsMax: options.restartsMax ?? 2, windowMs: 60_000 };
    const managed = new ManagedProcess(spec, events, new RestartPolicy(limits));
    running.push(managed);
    return managed;
  }

  it('is started when the child says so, keeps its words in the log, and stops it by SIGTERM', async () => {
    const bye = join(folder, 'bye');
    const managed = manage(
      `console.log('hello'); process.on('SIGTERM', () => { require('fs').writeFileSync('${bye}', ''); process.exit(0); }); ${READY} ${STAY}`,
    );
    const facts = await managed.start();
    expect(facts).toEqual({ ready: true, pid: managed.pid });
    await managed.stop();
    expect(existsSync(bye)).toBe(true);
    expect(readFileSync(join(folder, 'child.log'), 'utf8')).toContain('hello\n');
    expect(() => process.kill(facts['pid'] as number, 0)).toThrow('ESRCH');
  });

  it('says the child’s own reason when it ends before it is ready', async () => {
    const fatal = JSON.stringify({ level: 'fatal', code: 'X', message: 'BPFLEET_MQTT_URL: not a URL' });
    const managed = manage(`console.error(${JSON.stringify(fatal)}); process.exit(1);`);
    await expect(managed.start()).rejects.toThrow('child ended with code 1 at its start: BPFLEET_MQTT_URL: not a URL');
  });

  it('starts a child that died again, and gives up when it dies too often', async () => {
    const said: string[] = [];
    let gaveUp: (sentence: string) => void = () => undefined;
    const end = new Promise<string>((resolve) => (gaveUp = resolve));
    const managed = manage(`${READY} console.error('the disk is full'); setTimeout(() => process.exit(3), 50);`, {
      say: (line) => said.push(line),
      onGaveUp: (sentence) => gaveUp(sentence),
    });
    await managed.start();
    expect(await end).toBe(`child died too often and stays down (the disk is full); see ${join(folder, 'child.log')}.`);
    const restart = 'child ended with code 3 and is started again (it said: the disk is full)';
    expect(said).toEqual([restart, restart]);
  });

  it('can be stopped while it starts', async () => {
    const managed = manage(STAY);
    const start = managed.start();
    await managed.stop();
    await expect(start).rejects.toThrow('child was ended by SIGTERM at its start');
  });

  it('takes its children along when its owner is killed', async () => {
    const pidFile = join(folder, 'pid');
    const child = `require('fs').writeFileSync('${pidFile}', String(process.pid)); ${READY} ${STAY}`;
    // The owner is a process of its own that is killed without a chance to clean up.
    const owner = join(folder, 'owner.mjs');
    const embedded = new URL('../../../libs/embedded/dist/index.js', import.meta.url).href;
    writeFileSync(
      owner,
      `import { spawnGuarded } from ${JSON.stringify(embedded)};
       const child = spawnGuarded(process.execPath, ['-e', ${JSON.stringify(child)}], { stdio: ['ignore', 'pipe', 'inherit'] });
       child.stdout.once('data', () => process.kill(process.pid, 'SIGKILL'));`,
    );
    const { spawnSync } = await import('node:child_process');
    expect(spawnSync(process.execPath, [owner], { encoding: 'utf8', timeout: 20_000 })).toMatchObject({
      signal: 'SIGKILL',
      stderr: '',
    });
    const pid = Number(readFileSync(pidFile, 'utf8'));
    await expect(gone(pid)).resolves.toBe(true);
  });
});

/** Waits on the kernel's own record: the process's folder in /proc goes when the process has. */
async function gone(pid: number): Promise<boolean> {
  for (let look = 0; look < 400; look += 1) {
    if (!existsSync(`/proc/${pid}`)) return true;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return false;
}
