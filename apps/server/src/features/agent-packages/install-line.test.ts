import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { startApp, type TestApp } from '../../../test/start-app.js';
import { EnrolmentApiModule } from '../enrolment/index.js';
import { SessionModule } from '../session/index.js';

const CONTENT = 'what a device unpacks';
const SHA256 = createHash('sha256').update(CONTENT).digest('hex');
const ADDRESS = 'http://fleet.example.org:8480/fleet';

let server: TestApp;
let folder: string;
const inFolder = (name: string) => join(folder, name);

/** Stands in for a program of the device. */
function program(name: string, script: string): void {
  writeFileSync(inFolder(name), `#!/bin/sh\n${script}\n`);
  chmodSync(inFolder(name), 0o755);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bpfleet-line-'));
  server = await startApp([SessionModule, EnrolmentApiModule], {
    BPFLEET_PACKAGES_DIR: inFolder('packages'),
    BPFLEET_PUBLIC_URL: `${ADDRESS}/`,
  });
});
afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

beforeEach(async () => {
  mkdirSync(inFolder('packages'), { recursive: true });
  shelve('0.1.0');
  rmSync(inFolder('ran'), { force: true });
  program('curl', `[ "$*" = "-fsSL ${ADDRESS}/agent/install.sh" ] && exec cat ${inFolder('served')}`);
  program('wget', 'exit 1');
  program('sh', `{ echo "$*"; cat; } > ${inFolder('ran')}; exit 7`);
  await serve();
});

function shelve(version: string): void {
  const file = `bpfleet-agent_${version}_amd64.deb`;
  const facts = { arch: 'x64', format: 'deb', version, glibc: '2.28', bytes: CONTENT.length, installedBytes: 1 };
  writeFileSync(inFolder(`packages/${file}`), CONTENT);
  writeFileSync(inFolder('packages/index.json'), JSON.stringify({ packages: [{ file, ...facts, sha256: SHA256 }] }));
}

/** What the device gets over the network: the very bytes, or what somebody made of them. */
async function serve(change = (script: Buffer) => script): Promise<void> {
  const response = await fetch(`${server.url}/agent/install.sh`);
  writeFileSync(inFolder('served'), change(Buffer.from(await response.arrayBuffer())));
}

const newLine = async () => (await server.admin()).call('createEnrolmentToken', { body: { name: 'test' } });

/** Runs what a person pastes. No installer runs: `sh` is one that writes down what it was given. */
function paste(shell: readonly [string, ...string[]], line: string): Promise<{ code: unknown; said: string }> {
  const env = { PATH: `${folder}:${process.env.PATH}`, HOME: folder };
  const [name, ...args] = [...shell, '-c', line] as [string, ...string[]];
  return new Promise((resolve) => {
    execFile(name, args, { env }, (error, stdout, stderr) => {
      expect(stdout).toBe('');
      resolve({ code: error?.code ?? 0, said: stderr });
    });
  });
}

function theLine(shell: readonly [string, ...string[]]): void {
  it('runs the script that was served, with the token, and ends as it ends', async () => {
    const { command, token, server: address } = await newLine();
    expect(address).toBe(ADDRESS);
    expect(command).not.toContain('\n');
    expect(await paste(shell, command)).toEqual({ code: 7, said: '' });
    expect(readFileSync(inFolder('ran'), 'utf8')).toBe(`-s -- ${token}\n${readFileSync(inFolder('served'), 'utf8')}`);
  });

  it('works with wget where there is no curl', async () => {
    program('curl', 'exit 127');
    program('wget', `[ "$*" = "-qO- ${ADDRESS}/agent/install.sh" ] && exec cat ${inFolder('served')}`);
    expect((await paste(shell, (await newLine()).command)).code).toBe(7);
  });

  it.each([
    ['one byte was changed', (script: Buffer) => Buffer.from(script.toString().replace('set -eu', 'set -ex'))],
    ['a line was added', (script: Buffer) => Buffer.concat([script, Buffer.from('reboot\n')])],
    ['half of it came', (script: Buffer) => script.subarray(0, script.length / 2)],
  ])('runs nothing where %s, and says so', async (_what, change) => {
    const { command } = await newLine();
    await serve(change);
    const { code, said } = await paste(shell, command);
    expect(code).toBe(1);
    expect(said).toMatch(/^bpfleet: what came is not the script .*\(ask for a new line\)/);
    expect(existsSync(inFolder('ran'))).toBe(false);
  });

  it('runs nothing where nothing comes', async () => {
    program('curl', 'exit 22');
    expect((await paste(shell, (await newLine()).command)).code).not.toBe(0);
    expect(existsSync(inFolder('ran'))).toBe(false);
  });

  it('is void, and says so, once other packages are handed out', async () => {
    const { command } = await newLine();
    shelve('0.2.0');
    await serve();
    expect((await paste(shell, command)).said).toContain('the packages were built anew since');
    expect((await paste(shell, (await newLine()).command)).code).toBe(7);
  });
}

describe.each([['sh'], ['bash']])('the line over plain HTTP, pasted into %s', (name) => theLine([`/bin/${name}`]));
describeWithKernel('the line over plain HTTP, pasted into BusyBox', ['busybox'], () => theLine(['busybox', 'sh']));

it('says that a loopback address is for this machine alone, and what to do for other devices', async () => {
  const near = await startApp([SessionModule, EnrolmentApiModule], { BPFLEET_PUBLIC_URL: 'http://127.0.0.1:8480' });
  try {
    const { note } = await (await near.admin()).call('createEnrolmentToken', { body: { name: 'test' } });
    expect(note).toContain('Only this machine finds its server at 127.0.0.1; for other devices: npm run up -- --host');
  } finally {
    await near.stop();
  }
  expect((await newLine()).note).not.toContain('--host');
});
