import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { missingCapabilities } from '@bpfleet/testkit';
import { JailError } from '../jail/error.js';
import { describeWithJail } from '../testing/describe-with-jail.js';
import { ProveError } from './prove-error.js';
import { ProveJail } from './prove-jail.js';

describeWithJail('ProveJail', missingCapabilities(['root', 'bpf']), () => {
  let folder: string;
  beforeAll(() => {
    folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'bpfleet-prove-')));
    mkdirSync(path.join(folder, 'apps/verifier/dist'), { recursive: true });
    mkdirSync(path.join(folder, 'node_modules'));
    writeFileSync(path.join(folder, 'apps/verifier/package.json'), '{"type":"module"}');
    writeFileSync(path.join(folder, 'secret'), 'the key of the fleet');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Runs `script` in the place of the verifier; what it writes to standard error comes back. */
  async function inside(
    script: string,
    options: { timeoutMs?: number; reportBytesMax?: number } = {},
  ): Promise<ProveError> {
    const verifierMain = path.join(folder, 'apps/verifier/dist/main.js');
    writeFileSync(verifierMain, script);
    return new ProveJail({ verifierMain, ...options }).prove(Buffer.from('object')).then(
      () => Promise.reject(new Error('the script made a report')),
      (error: unknown) => {
        if (error instanceof ProveError) return error;
        throw error;
      },
    );
  }

  const facts = (script: string) => `import fs from 'node:fs'; ${script}; process.exit(1);`;

  it('gives the BPF capabilities and no other, and no way to more', async () => {
    const { output, reason } = await inside(facts(`console.error(fs.readFileSync('/proc/self/status', 'utf8'))`));
    expect(reason).toBe('crash');
    const bits = (1n << 12n) | (1n << 38n) | (1n << 39n);
    // bubblewrap leaves the bounding set alone; with no_new_privs nothing can be had from it any more.
    for (const set of ['CapEff', 'CapPrm', 'CapAmb']) {
      expect(BigInt(`0x${new RegExp(`^${set}:\\s*([0-9a-f]+)$`, 'm').exec(output)?.[1]}`)).toBe(bits);
    }
    expect(output).toMatch(/^NoNewPrivs:\s*1$/m);
  });

  it('is in the initial user namespace, with a network and processes of its own', async () => {
    const script = `console.error(JSON.stringify([
      fs.readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\\s+/),
      fs.readFileSync('/proc/net/dev', 'utf8').split('\\n').slice(2).map((l) => l.split(':')[0].trim()).filter(Boolean),
      process.pid < 10, Object.keys(process.env).sort()]))`;
    const { output } = await inside(facts(script));
    const [map, interfaces, firstProcesses, environment] = JSON.parse(output) as [
      string[],
      string[],
      boolean,
      string[],
    ];
    expect(map).toEqual(['0', '0', '4294967295']);
    expect(interfaces).not.toContain('eth0');
    expect(firstProcesses).toBe(true);
    expect(environment).toEqual(['LC_ALL', 'PWD']);
  });

  it('sees nothing of the host but the verifier and the kernel', async () => {
    const script = `console.error(JSON.stringify([
      fs.readdirSync('/').sort(), fs.readdirSync('/bpfleet'), fs.readdirSync('/sys'), fs.existsSync(${JSON.stringify(folder)})]))`;
    const { output } = await inside(facts(script));
    const [root, bpfleet, sys, hostFolder] = JSON.parse(output) as [string[], string[], string[], boolean];
    expect(root).not.toEqual(expect.arrayContaining(['etc']));
    for (const name of ['etc', 'home', 'root', 'var', 'tmp']) expect(root).not.toContain(name);
    expect(bpfleet).toEqual(['apps']);
    expect(sys.sort()).toEqual(['bus', 'devices', 'kernel']);
    expect(hostFolder).toBe(false);
  });

  it('cannot write anywhere but its own memory', async () => {
    const script = `for (const f of ['/x', '/bpfleet/x', '/bpfleet/apps/verifier/dist/x', '/sys/kernel/x', '/dev/x'])
      try { fs.writeFileSync(f, 'x'); console.error('wrote', f) } catch { }`;
    const { output } = await inside(facts(script));
    expect(output.replace('wrote /dev/x\n', '')).toBe('');
  });

  it('ends what takes too long', async () => {
    const error = await inside('for (;;);', { timeoutMs: 1000 });
    expect(error).toMatchObject({ code: 'PROVE_FAILED', reason: 'timeout' });
  });

  it('ends what reports too much', async () => {
    const error = await inside(`process.stdout.write('x'.repeat(100_000))`, { reportBytesMax: 10_000 });
    expect(error.reason).toBe('output');
  });

  it('does not take nonsense for a report', async () => {
    await expect(inside(`console.log('all is well')`)).resolves.toMatchObject({ reason: 'report' });
  });

  it('says what is missing when the verifier was never built', async () => {
    const jail = new ProveJail({ verifierMain: path.join(folder, 'nowhere.js') });
    await expect(jail.available()).resolves.toMatchObject({ ok: false, reason: expect.stringContaining('not built') });
    await expect(jail.prove(Buffer.alloc(0))).rejects.toThrow(JailError);
  });
});
