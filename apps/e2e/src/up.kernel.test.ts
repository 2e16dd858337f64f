import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from '@jest/globals';
import { createClient } from '@bpfleet/api';
import { freePort } from '@bpfleet/embedded';
import { describeWithKernel } from '@bpfleet/testkit';
import { startNode, until } from './process.js';
import { repositoryDir } from './stack.js';

const LONG_MS = 240_000;

describeWithKernel('npm run up -- --check', ['bpf', 'tracefs'], () => {
  it(
    'starts everything on free ports, waits for telemetry of this kernel, says what it saw, and leaves',
    async () => {
      const child = spawn(process.execPath, [join(repositoryDir, 'apps/up/dist/main.js'), '--check']);
      let [stdout, stderr] = ['', ''];
      child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
      const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
      const said = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, number | string>;
      expect(said).toMatchObject({ ok: true, devices: 1, verdict: 'accepted', signature: 'signed' });
      expect(said['samples']).toBeGreaterThan(0);
      expect(said['events']).toBeGreaterThan(0);
      expect(said['runsAttached']).toBeGreaterThan(0);
    },
    LONG_MS,
  );
});

describeWithKernel('npm run up -- --host', ['root', 'bpf', 'clang', 'bpftool'], () => {
  /** Of this machine, and not the address by which its own parts find each other. */
  const HOST = '127.0.0.2';
  const agentMain = join(repositoryDir, 'apps/agent/dist/main.js');

  it(
    'gives devices a line, an address and a certificate by which they find it',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'bpfleet-up-host-'));
      // PostgreSQL's own user passes through.
      chmodSync(folder, 0o711);
      const ports = [await freePort(HOST), await freePort(HOST), await freePort()] as const;
      const options = ['--host', HOST, '--data', join(folder, 'data'), '--no-agent'];
      const main = join(repositoryDir, 'apps/up/dist/main.js');
      const portOptions = ['--port', '--mqtt-port', '--pg-port'].flatMap((name, index) => [name, `${ports[index]}`]);
      const up = spawn(process.execPath, [main, ...options, ...portOptions]);
      const ended = new Promise<void>((resolve) => up.once('close', () => resolve()));
      let [stdout, stderr] = ['', ''];
      up.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
      up.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
      try {
        const url = `http://${HOST}:${ports[0]}`;
        await until('it is up, or has ended', async () => stdout.includes('Ctrl-C') || up.exitCode !== null, LONG_MS);
        expect({ code: up.exitCode, stderr: up.exitCode === null ? '' : stderr }).toEqual({ code: null, stderr: '' });
        expect(stdout).toContain(`Web app   ${url}\n`);
        expect(stdout).toContain('listens on all addresses');
        const client = createClient({
          baseUrl: url,
          token: readFileSync(join(folder, 'data/up-token'), 'utf8').trim(),
        });
        const { command, token, server } = await client.call('createEnrolmentToken', { body: { name: 'on the desk' } });
        expect(server).toBe(url);
        expect(command).toContain(url);
        expect(command).not.toContain('127.0.0.1');
        expect(await (await fetch(`${url}/agent/install.sh`)).text()).toContain(`\nSERVER='${url}'\n`);
        const state = join(folder, 'agent');
        const enrol = [agentMain, 'enrol', '--server', server, '--token', token, '--state', state];
        await promisify(execFile)(process.execPath, enrol);
        expect(JSON.parse(readFileSync(join(state, 'identity/device.json'), 'utf8'))).toMatchObject({
          mqttUrl: `mqtts://${HOST}:${ports[1]}`,
        });
        const run = ['run', '--state', state, '--no-kernel'];
        const agent = await startNode('agent', agentMain, run, {}, join(folder, 'agent.log'));
        try {
          await until('the device is online', async () => (await client.call('overview', {})).devicesOnline === 1);
        } finally {
          await agent.end('SIGTERM');
        }
      } finally {
        up.kill('SIGINT');
        await ended;
        rmSync(folder, { recursive: true, force: true });
      }
    },
    LONG_MS,
  );
});
