import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { startApp, type TestApp } from '../../../test/start-app.js';
import { EnrolmentApiModule } from '../enrolment/index.js';
import { SessionModule } from '../session/index.js';

const CONTENT = Buffer.from('what a device unpacks'.repeat(1000));
const sha256 = createHash('sha256').update(CONTENT).digest('hex');
const deb = {
  file: 'bpfleet-agent_0.1.0_amd64.deb',
  arch: 'x64',
  format: 'deb',
  version: '0.1.0',
  glibc: '2.28',
  bytes: CONTENT.length,
  installedBytes: 100_000_000,
  sha256,
};

let server: TestApp;
let packages: string;
beforeAll(async () => {
  packages = mkdtempSync(join(tmpdir(), 'bpfleet-packages-'));
  server = await startApp([SessionModule, EnrolmentApiModule], {
    BPFLEET_PACKAGES_DIR: packages,
    BPFLEET_PUBLIC_URL: "https://fleet.example.org/o'brien/",
  });
});
afterAll(async () => {
  await server?.stop();
  rmSync(packages, { recursive: true, force: true });
});

function shelve(...list: object[]): void {
  writeFileSync(join(packages, 'index.json'), JSON.stringify({ packages: list }));
}
beforeEach(() => {
  rmSync(join(packages, 'index.json'), { force: true });
  writeFileSync(join(packages, deb.file), CONTENT);
});

const script = async () => (await fetch(`${server.url}/agent/install.sh`)).text();
const fetchPackage = (file: string, headers: Record<string, string> = {}) =>
  fetch(`${server.url}/agent/packages/${file}`, { headers });
const newToken = async () => (await server.admin()).call('createEnrolmentToken', { body: { name: 'test' } });

/** What the script's own shell makes of the values that the server put in. */
function valuesIn(text: string): { server: string; packages: string } {
  const head = text.slice(0, text.indexOf('\nsay()'));
  const print = 'printf "%s\\0%s" "$SERVER" "$PACKAGES"';
  const [address = '', lines = ''] = execFileSync('sh', ['-c', `${head}\n${print}`], { encoding: 'utf8' }).split('\0');
  return { server: address, packages: lines };
}

describe('the line for a new device', () => {
  it('is one command where there are packages, and says which there are', async () => {
    shelve(deb);
    const { command, note, token } = await newToken();
    expect(command).toBe(`curl -fsSL 'https://fleet.example.org/o'\\''brien/agent/install.sh' | sh -s -- ${token}`);
    expect(note).toBe(
      'Installed, the agent takes 95 MiB on x64. There is no package for arm64 and armv7; to have it: npm run package -- --arch arm64,armv7',
    );
  });

  it('says what it takes on each architecture', async () => {
    const armv7 = { ...deb, arch: 'armv7', installedBytes: 70_000_000 };
    shelve(deb, { ...deb, format: 'tar' }, { ...deb, arch: 'arm64' }, armv7);
    expect((await newToken()).note).toBe('Installed, the agent takes 95 MiB on x64, 95 MiB on arm64, 67 MiB on armv7.');
  });

  it('says what to run on the server where no package was built', async () => {
    const { command, note } = await newToken();
    expect(command).toMatch(/^bpfleet-agent enrol --server /);
    expect(note).toContain('npm run package -- --arch x64,arm64,armv7');
  });
});

describe('the script', () => {
  it('is a shell script that holds the server and the digest of each package', async () => {
    shelve(deb);
    const response = await fetch(`${server.url}/agent/install.sh`);
    expect(response.headers.get('content-type')).toContain('text/x-shellscript');
    const text = await response.text();
    execFileSync('sh', ['-n'], { input: text });
    expect(valuesIn(text)).toEqual({
      server: "https://fleet.example.org/o'brien",
      packages: `x64 deb ${deb.file} ${sha256} ${CONTENT.length} 100000000 2.28`,
    });
  });

  it('offers no package whose bytes are not those that were built', async () => {
    shelve(deb);
    expect(valuesIn(await script()).packages).not.toBe('');
    appendFileSync(join(packages, deb.file), 'more');
    expect(valuesIn(await script()).packages).toBe('');
    writeFileSync(join(packages, deb.file), Buffer.alloc(CONTENT.length));
    expect(valuesIn(await script()).packages).toBe('');
    expect((await fetchPackage(deb.file)).status).toBe(404);
  });

  it.each([
    ['no JSON', '{'],
    ['a file elsewhere', JSON.stringify({ packages: [{ ...deb, file: '../../etc/passwd' }] })],
    ['a word of shell', JSON.stringify({ packages: [{ ...deb, version: '1.0"; reboot; "' }] })],
  ])('offers nothing when the index holds %s', async (_what, index) => {
    writeFileSync(join(packages, 'index.json'), index);
    expect(valuesIn(await script()).packages).toBe('');
  });
});

describe('a package', () => {
  beforeEach(() => shelve(deb));

  it('comes whole, and from any offset on', async () => {
    const whole = await fetchPackage(deb.file);
    expect(whole.headers.get('content-length')).toBe(String(CONTENT.length));
    expect(Buffer.from(await whole.arrayBuffer()).equals(CONTENT)).toBe(true);
    const rest = await fetchPackage(deb.file, { range: 'bytes=20000-' });
    expect([rest.status, rest.headers.get('content-range')]).toEqual([206, `bytes 20000-20999/21000`]);
    expect(Buffer.from(await rest.arrayBuffer()).equals(CONTENT.subarray(20_000))).toBe(true);
    expect((await fetchPackage(deb.file, { range: 'bytes=21000-' })).status).toBe(416);
    expect((await fetchPackage(deb.file, { range: 'bytes=1-2,4-5' })).status).toBe(200);
  });

  it.each(['index.json', '..%2F..%2Fetc%2Fpasswd', 'bpfleet-agent_9.9.9_amd64.deb', '%00'])(
    'is nothing but what the index names: not %s',
    async (file) => {
      expect([400, 404]).toContain((await fetchPackage(file)).status);
    },
  );
});
