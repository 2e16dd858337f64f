import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ContractServer } from './testing/contract-server.js';
import { buildCli, runCli } from './testing/run-cli.js';
import { kernelUpgrade, preflight, release } from './testing/samples.js';

const server = new ContractServer();
let url = '';

beforeAll(async () => {
  await buildCli();
  url = await server.start();
});
afterAll(() => server.stop());
beforeEach(() => {
  server.calls.length = 0;
  server.answers = {
    listProbes: () => ({ items: [] }),
    getRelease: () => release,
    preflight: () => preflight,
    kernelUpgrade: () => kernelUpgrade,
  };
});

const cli = (...args: string[]) => runCli(args, { env: { BPFLEET_SERVER: url, BPFLEET_TOKEN: 'bpft_test' } });
const all = ['--selector', 'all'];

describe('bpfleet preflight', () => {
  it('shows who takes it, what proved it, and each reason in full, without letting names steer the terminal', async () => {
    const { stdout, exitCode } = await cli('preflight', 'r1', ...all, '--param', 'uid=1000');
    expect(exitCode).toBe(0);
    expect(server.callsOf('preflight')[0]?.body).toEqual({ selector: 'all', releaseId: 'r1', params: { uid: 1000 } });
    expect(stdout).toContain('2 devices: 1 will take it, 1 will refuse, 0 unknown');
    expect(stdout).toMatch(/6\.1\.0-28-arm64 +arm64\/32 +on +1 +takes it +same series \(6\.1\.0-50-arm64\)/);
    expect(stdout).toMatch(/will refuse\n {2}It lacks no ring buffer.*, which the probe requires\./);
    expect(stdout).not.toMatch(/[\u001b\u202e]/);
  });

  it('asks again while kernels are being looked at, and no longer than something comes of it', async () => {
    const left = [9, 3, 3];
    server.answers.preflight = () => ({ ...preflight, pending: left.shift() ?? 0 });
    const { stdout } = await cli('preflight', 'r1', ...all);
    expect(server.callsOf('preflight')).toHaveLength(3);
    expect(stdout).toContain('3 being looked at: ask again');
  });

  it('exits with 2 under --strict when some would refuse, and gives its result all the same', async () => {
    const strict = await cli('preflight', 'r1', ...all, '--strict', '--json');
    expect([strict.exitCode, JSON.parse(strict.stdout)]).toEqual([2, preflight]);
    expect(strict.stderr).toContain('1 of 2 devices would refuse it');
    server.answers.preflight = () => ({ ...preflight, refuses: 0 });
    expect((await cli('preflight', 'r1', ...all, '--strict')).exitCode).toBe(0);
  });
});

describe('bpfleet preflight kernel-upgrade', () => {
  it('shows which releases would break on which kernel, and why', async () => {
    const { stdout, exitCode } = await cli('preflight', 'kernel-upgrade', ...all, '--to', '6.12', '--arch', 'arm64');
    expect(exitCode).toBe(0);
    expect(server.callsOf('kernelUpgrade')[0]?.body).toEqual({ selector: 'all', series: '6.12', arch: 'arm64' });
    expect(stdout).toContain('1 run on 2 devices: 0 would go on, 1 would break, 0 unknown');
    expect(stdout).toMatch(/trace_exec@1\.0\.0 +6\.12\.73 +arm64\/32 +1 +will refuse/);
    expect(stdout).toMatch(/\n {2}It lacks no ring buffer/);
  });

  it('takes a kernel by its id, says when nothing runs, and exits with 2 under --strict', async () => {
    const strict = await cli('preflight', 'kernel-upgrade', ...all, '--to', 'a'.repeat(64), '--strict', '--json');
    expect(server.callsOf('kernelUpgrade')[0]?.body).toEqual({ selector: 'all', kernelGroupId: 'a'.repeat(64) });
    expect([strict.exitCode, JSON.parse(strict.stdout)]).toEqual([2, kernelUpgrade]);
    server.answers.kernelUpgrade = () => ({ ...kernelUpgrade, runs: 0, refuses: 0, rows: [] });
    expect((await cli('preflight', 'kernel-upgrade', ...all, '--to', '6.12')).stdout).toContain('nothing breaks');
    expect((await cli('preflight', 'kernel-upgrade', ...all)).exitCode).toBe(2);
  });
});
