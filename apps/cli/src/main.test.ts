import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ContractServer, Refusal } from './testing/contract-server.js';
import { buildCli, runCli, tailCli } from './testing/run-cli.js';
import { device, preflight, refusedVerdict, release, run } from './testing/samples.js';

const server = new ContractServer();
let url = '';
let home = '';
const env = () => ({ BPFLEET_SERVER: url, BPFLEET_TOKEN: 'bpft_test', HOME: home });
const cli = (...args: string[]) => runCli(args, { env: env() });

beforeAll(async () => {
  await buildCli();
  url = await server.start();
});
afterAll(() => server.stop());
beforeEach(async () => {
  server.calls.length = 0;
  server.answers = {
    listDevices: () => ({ items: [device], nextCursor: null, total: 1 }),
    getDevice: () => device,
    listProbes: () => ({
      items: [
        {
          name: 'trace_exec',
          summary: 'Every program that is started',
          latest: { id: 'r1', version: '1.0.0', createdAt: release.createdAt },
          releases: 1,
          runsAttached: 4,
        },
      ],
    }),
    listReleases: () => ({ items: [release] }),
    getRelease: () => release,
  };
  home = await mkdtemp(join(tmpdir(), 'bpfleet-cli-'));
});
afterEach(() => rm(home, { recursive: true }));

describe('login', () => {
  it('changes the password into a token that only its owner can read, and logs the session out', async () => {
    const times = { createdAt: '2026-05-01T10:00:00Z', expiresAt: '2026-08-01T10:00:00Z', lastUsedAt: null };
    server.answers.login = () => ({ id: 'u1', username: 'kari', role: 'operator' });
    server.answers.createApiToken = ({ body }) => ({
      id: 't1',
      name: body.name,
      role: 'operator',
      ...times,
      token: 'bpft_new',
    });
    server.answers.logout = () => ({});

    const args = ['login', '--server', `${url}/`, '--username', 'kari', '--password-stdin'];
    const result = await runCli(args, { env: { HOME: home }, input: 'secret words\n' });

    expect(result.exitCode).toBe(0);
    expect(server.callsOf('login')[0]?.body).toEqual({ username: 'kari', password: 'secret words' });
    expect(server.callsOf('createApiToken')[0]?.headers.cookie).toBe('bpfleet=session1');
    expect(server.callsOf('logout')).toHaveLength(1);
    const path = join(home, '.config/bpfleet/config.json');
    expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ server: url, token: 'bpft_new', tokenId: 't1' });
    expect((await stat(path)).mode & 0o777).toBe(0o600);

    await runCli(['devices', 'list'], { env: { HOME: home } });
    expect(server.callsOf('listDevices')[0]?.headers.authorization).toBe('Bearer bpft_new');
  });

  it('says what is missing without a password, and exits with 2', async () => {
    const result = await runCli(['login', '--server', url, '--username', 'kari'], { env: { HOME: home } });
    expect(result.exitCode).toBe(2);
    expect(result.stderr).toContain('--password-stdin');
  });

  it('exits with 3 when nobody is logged in, and does not send a token to another server', async () => {
    const nobody = await runCli(['devices', 'list'], { env: { HOME: home } });
    expect(nobody.exitCode).toBe(3);
    expect(nobody.stderr).toContain('bpfleet login');

    await mkdir(join(home, '.config/bpfleet'), { recursive: true });
    const stored = JSON.stringify({ server: 'http://127.0.0.1:1', token: 'bpft_other' });
    await writeFile(join(home, '.config/bpfleet/config.json'), stored);
    const other = await runCli(['devices', 'list'], { env: { HOME: home, BPFLEET_SERVER: url } });
    expect(other.exitCode).toBe(3);
    expect(server.calls).toHaveLength(0);
  });

  it('exits with 3 when the server says that the token is over', async () => {
    server.answers.listDevices = () => {
      throw new Refusal(401, 'TOKEN_EXPIRED', 'the token is over since yesterday');
    };
    const result = await cli('devices', 'list');
    expect(result.exitCode).toBe(3);
    expect(result.stderr).toContain('the token is over since yesterday [TOKEN_EXPIRED]');
  });
});

describe('output', () => {
  it('shows devices without letting their names steer the terminal', async () => {
    const result = await cli('devices', 'list', '--selector', 'site=oslo');
    expect(result.exitCode).toBe(0);
    expect(server.callsOf('listDevices')[0]?.query.selector).toBe('site=oslo');
    expect(result.stdout).toContain('gw-\ufffd[31moslo\ufffd');
    expect(result.stdout).toContain('6.1.0-28-arm64');
    expect(result.stdout).not.toContain('\u001b');
  });

  it('revokes a device by its name, and only with a reason', async () => {
    server.answers.revokeDevice = ({ body }) => ({
      ...device,
      status: 'revoked',
      revoked: { at: '2026-05-01T10:00:00.000Z', reason: body.reason },
    });
    const without = await cli('devices', 'revoke', device.id);
    expect([without.exitCode, server.callsOf('revokeDevice')]).toEqual([2, []]);
    const result = await cli('devices', 'revoke', device.name, '--reason', 'stolen from the mast');
    expect(result.exitCode).toBe(0);
    expect(server.callsOf('revokeDevice')[0]).toMatchObject({
      path: { id: device.id },
      body: { reason: 'stolen from the mast' },
    });
    expect(result.stdout).toContain('is revoked');
    expect(result.stdout).not.toContain('\u001b');
  });

  it('reads every page', async () => {
    server.answers.listDevices = ({ query }) =>
      query.cursor
        ? { items: [{ ...device, id: 'd0002a7c2f9' }], nextCursor: null, total: 2 }
        : { items: [device], nextCursor: 'next', total: 2 };
    const result = await cli('devices', 'list', '--json');
    const value = JSON.parse(result.stdout) as { items: { id: string }[] };
    expect(value.items.map((one) => one.id)).toEqual(['d0001a7c2f9', 'd0002a7c2f9']);
  });

  it('gives errors as one JSON value too', async () => {
    server.answers.listDevices = () => {
      throw new Refusal(400, 'SELECTOR_INVALID', 'the selector ends in the middle', { at: 5 });
    };
    const result = await cli('devices', 'list', '--selector', 'arch=', '--json');
    expect(result.exitCode).toBe(2);
    expect(JSON.parse(result.stdout)).toEqual({
      error: { code: 'SELECTOR_INVALID', message: 'the selector ends in the middle', details: { at: 5 } },
    });
  });

  it('exits with 4 when nothing answers, with 1 when the server fails, with 2 for wrong usage', async () => {
    const away = await runCli(['devices', 'list'], { env: { ...env(), BPFLEET_SERVER: 'http://127.0.0.1:1' } });
    expect(away.exitCode).toBe(4);
    server.answers.listDevices = () => {
      throw new Refusal(503, 'DATABASE_AWAY', 'the database does not answer');
    };
    expect((await cli('devices', 'list')).exitCode).toBe(1);
    const usage = await cli('debug', 'gw', 'trace_exec', '--minutes', '61', '--json');
    expect(usage.exitCode).toBe(2);
    expect(JSON.parse(usage.stdout)).toMatchObject({ error: { code: 'USAGE' } });
  });

  it('documents its exit codes, and completes its commands', async () => {
    const help = await cli('--help');
    expect(help.exitCode).toBe(0);
    expect(help.stdout).toMatch(/3 {2}not logged in/);
    const script = (await cli('completion', 'bash')).stdout;
    expect(script).toContain('complete -F _bpfleet bpfleet');
    expect(script).toContain('assignments/withdraw');
  });
});

describe('devices add', () => {
  it('shows the command to run on the device', async () => {
    server.answers.createEnrolmentToken = ({ body }) => ({
      id: 'e1',
      name: body.name,
      usesLeft: body.uses,
      expiresAt: '2026-05-01T11:00:00Z',
      createdAt: '2026-05-01T10:00:00Z',
      labels: body.labels,
      token: 'bpf1.x',
      server: 'http://127.0.0.1:8480',
      command: 'bpfleet-agent enrol --token bpf1.x',
    });
    const result = await cli('devices', 'add', '--name', 'oslo', '--uses', '3', '--label', 'site=oslo');
    expect(result.exitCode).toBe(0);
    expect(server.callsOf('createEnrolmentToken')[0]?.body).toMatchObject({ uses: 3, labels: { site: 'oslo' } });
    expect(result.stdout).toContain('bpfleet-agent enrol --token bpf1.x');
  });
});

describe('publish', () => {
  it('does not read what is no file and may have no end', async () => {
    await writeFile(join(home, 'probe.yaml'), 'name: trace_exec\n');
    await symlink('/dev/zero', join(home, 'trace_exec.bpf.c'));
    const result = await cli('publish', home);
    expect(result.exitCode).toBe(2);
    expect(result.stderr).toContain('trace_exec.bpf.c is not a regular file [PROBE_FOLDER]');
    expect(server.callsOf('publish')).toEqual([]);
  });

  const fill = async (files: Record<string, string>) => {
    for (const [name, text] of Object.entries(files)) await writeFile(join(home, name), text);
  };

  it('sends manifest, sources and own headers, and prints the verification report', async () => {
    await fill({ 'probe.yaml': 'name: x', 'x.bpf.c': 'int x;', 'x.h': '//', 'x.bpf.o': 'old', 'README.md': '#' });
    server.answers.publish = () => release;
    const result = await cli('publish', home);
    expect(result.exitCode).toBe(0);
    expect(server.callsOf('publish')[0]?.body).toEqual({
      manifest: 'name: x',
      sources: [
        { name: 'x.bpf.c', text: 'int x;' },
        { name: 'x.h', text: '//' },
      ],
      objects: [],
    });
    expect(result.stdout).toContain('accepted on 6.18.0 x86_64');
    expect(result.stdout).toContain('signed by cdcdcdcdcdcdcdcd');
  });

  it('sends ready objects with their architecture where there is no source', async () => {
    await fill({ 'probe.yaml': 'name: x', 'x.arm64.bpf.o': 'object' });
    server.answers.publish = () => release;
    const result = await cli('publish', home, '--json');
    expect(JSON.parse(result.stdout)).toMatchObject({ id: 'r1', probe: 'trace_exec' });
    const objects = [{ arch: 'arm64', base64: Buffer.from('object').toString('base64') }];
    expect(server.callsOf('publish')[0]?.body).toMatchObject({ sources: [], objects });
  });

  it('says a refusal like a compiler, and exits with 2', async () => {
    await fill({ 'probe.yaml': 'name: x', 'x.bpf.c': 'int x' });
    server.answers.publish = () => {
      throw new Refusal(422, 'COMPILE_FAILED', 'x.bpf.c does not compile: 1 error', {
        diagnostics: [
          { file: 'x.bpf.c', line: 3, column: 6, severity: 'error', message: "expected ';'", sourceLine: '\tint x' },
        ],
        verdict: refusedVerdict,
      });
    };
    const result = await cli('publish', home);
    expect(result.exitCode).toBe(2);
    expect(result.stderr).toContain(`${join(home, 'x.bpf.c')}:3:6: error: expected ';'\n   int x\n       ^\n`);
    expect(result.stderr).toContain('trace_exec.bpf.c:52: slot->n += 1;');
    expect(result.stderr).toContain('Check the result of bpf_map_lookup_elem() first.');
    expect(result.stderr).not.toContain('\u001b');
    const json = JSON.parse((await cli('publish', home, '--json')).stdout) as {
      error: { details: { diagnostics: unknown[] } };
    };
    expect(json.error.details.diagnostics).toHaveLength(1);
  });

  it('says what a folder lacks before it asks the server', async () => {
    expect((await cli('publish', join(home, 'nowhere'))).exitCode).toBe(2);
    await fill({ 'probe.yaml': 'name: x' });
    const result = await cli('publish', home);
    expect(result.exitCode).toBe(2);
    expect(result.stderr).toContain('no .bpf.c source');
    expect(server.callsOf('publish')).toHaveLength(0);
  });
});

describe('assign', () => {
  beforeEach(() => {
    server.answers.preflight = () => preflight;
    server.answers.createAssignment = ({ body }) => ({
      id: 'a1',
      releaseId: body.releaseId,
      probe: 'trace_exec',
      version: '1.0.0',
      selector: body.selector,
      params: body.params,
      state: 'active',
      createdAt: '2026-05-01T10:00:00Z',
      createdBy: 'kari',
      devices: 2,
      runs: {},
    });
  });

  it('shows the preview and asks; without a terminal it needs --yes', async () => {
    const result = await cli('assign', 'trace_exec', '--selector', 'site=oslo');
    expect(result.exitCode).toBe(2);
    expect(result.stderr).toContain('no ring buffer');
    expect(result.stderr).toContain('--yes');
    expect(server.callsOf('createAssignment')).toHaveLength(0);
  });

  it('sends parameters with the types of the release', async () => {
    const params = ['--param', 'with_args=true', '--param', 'uid=1000', '--param', 'prefix=7'];
    const result = await cli('assign', 'trace_exec@1.0.0', '--selector', 'all', '--yes', '--json', ...params);
    expect(result.exitCode).toBe(0);
    expect(server.callsOf('createAssignment')[0]?.body).toEqual({
      releaseId: 'r1',
      selector: 'all',
      params: { with_args: true, uid: 1000, prefix: '7' },
    });
    expect(JSON.parse(result.stdout)).toMatchObject({ id: 'a1' });
  });

  it('names what exists when a probe, a version or a parameter does not', async () => {
    const wrong = async (...args: string[]) => (await cli('assign', ...args, '--selector', 'all', '--yes')).stderr;
    server.answers.getRelease = () => {
      throw new Refusal(404, 'RELEASE_UNKNOWN', 'no such release');
    };
    expect(await wrong('trace_execs')).toContain('there are trace_exec');
    expect(await wrong('trace_exec@9')).toContain('there are 1.0.0');
    server.answers.getRelease = () => release;
    expect(await wrong('trace_exec', '--param', 'pid=1')).toContain('it has with_args, uid, prefix');
    expect(await wrong('trace_exec', '--param', 'uid=abc')).toContain('uid is a number');
  });
});

describe('debug', () => {
  const event = (second: number, pid: number) => ({
    at: `2026-05-01T10:00:${String(second).padStart(2, '0')}.000Z`,
    device: device.id,
    run: 'run1',
    fields: { pid, comm: 'a\u001b[31mb' },
  });

  it('tails each event once in order, and Ctrl-C stops the run', async () => {
    let stopped = false;
    const stored = [event(1, 1), event(2, 2)];
    server.answers.createDebugRun = () => run;
    server.answers.stopDebugRun = () => {
      stopped = true;
      return { ...run, state: 'ENDED' };
    };
    server.answers.getRun = () => {
      const state = stopped ? ('ENDED' as const) : ('ATTACHED' as const);
      const endedAt = stopped ? '2026-05-01T10:00:09.000Z' : null;
      return { ...run, state, endedAt, history: [{ at: run.createdAt, from: null, to: state, reason: 'said so' }] };
    };
    server.answers.events = ({ query }) => {
      const rows = stored.filter((row) => Date.parse(row.at) >= Date.parse(query.from ?? '')).reverse();
      return { columns: [{ name: 'pid', type: 'int8' }], rows, nextCursor: null };
    };

    const lines: string[] = [];
    const result = await tailCli(
      ['debug', device.id, 'trace_exec', '--minutes', '5'],
      { env: env() },
      (line, interrupt) => {
        lines.push(line);
        // A late row, older than what was shown, comes with the next answer.
        if (lines.length === 2) stored.unshift(event(0, 3));
        if (lines.length === 3) interrupt();
      },
    );

    expect(result.exitCode).toBe(0);
    expect(lines).toEqual([
      '10:00:01.000 pid=1 comm=a\ufffd[31mb',
      '10:00:02.000 pid=2 comm=a\ufffd[31mb',
      '10:00:00.000 pid=3 comm=a\ufffd[31mb',
    ]);
    expect(server.callsOf('createDebugRun')[0]?.body).toMatchObject({ device: device.id, minutes: 5 });
    expect(server.callsOf('stopDebugRun')).toHaveLength(1);
    expect(result.stderr).toContain('trace_exec@1.0.0: ended');
  });

  it('goes on when the server is away for a moment, and fails with the device’s own reason', async () => {
    let asked = 0;
    server.answers.createDebugRun = () => run;
    server.answers.events = () => ({ columns: [], rows: [], nextCursor: null });
    server.answers.getRun = () => {
      asked += 1;
      if (asked === 1) throw new Refusal(503, 'DATABASE_AWAY', 'the database does not answer');
      const error = { code: 'AGENT_LOAD', message: 'the kernel refused it', log: null };
      return { ...run, state: 'REJECTED', error, history: [] };
    };
    const result = await cli('debug', device.id, 'trace_exec', '--json');
    expect(result.exitCode).toBe(2);
    expect(result.stderr).toContain('the run goes on, trying again');
    const values = result.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(values).toMatchObject([
      { type: 'run', run: { id: 'run1' } },
      { type: 'run', run: { state: 'REJECTED' } },
      { error: { code: 'AGENT_LOAD', message: 'the kernel refused it' } },
    ]);
  });

  it('names the events that there are', async () => {
    const result = await cli('debug', device.id, 'trace_exec', '--event', 'exit');
    expect(result.exitCode).toBe(2);
    expect(result.stderr).toContain('it has exec');
  });
});
