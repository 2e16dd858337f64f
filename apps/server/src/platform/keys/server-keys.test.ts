import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { acceptFirstRoot, signDocument, verifyDocument, signersOf } from '@bpfleet/trust';
import { ServerKeys } from './server-keys.js';

const now = new Date('2026-06-01T00:00:00Z');

describe('ServerKeys', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'bpfleet-keys-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  function request(...keyOptions: string[]): string {
    const key = join(dir, 'device.key');
    execFileSync('openssl', ['genpkey', ...keyOptions, '-out', key], { stdio: 'ignore' });
    return execFileSync('openssl', ['req', '-new', '-key', key, '-subj', '/CN=whatever I like/OU=server'], {
      encoding: 'utf8',
    });
  }
  const p256 = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'];

  it('makes one set of keys, however many processes start at once, and opens the same again', async () => {
    const opened = await Promise.all(Array.from({ length: 4 }, () => ServerKeys.open(dir)));
    const again = await ServerKeys.open(dir);
    expect(new Set([...opened, again].map((keys) => keys.root.digest)).size).toBe(1);
    expect(readdirSync(dir)).toEqual(['keys']);
    expect(statSync(join(dir, 'keys', 'director.pem')).mode & 0o777).toBe(0o600);
  });

  it('leaves alone what another container, where its process has the same number, is writing', async () => {
    mkdirSync(join(dir, `keys.${process.pid}.new`));
    writeFileSync(join(dir, `keys.${process.pid}.new`, 'root.pem'), 'half');
    await ServerKeys.open(dir);
    expect(readdirSync(dir).sort()).toEqual(['keys', `keys.${process.pid}.new`]);
  });

  it('has a root that a device accepts by digest, and signs what that root allows', async () => {
    const keys = await ServerKeys.open(dir);
    const root = acceptFirstRoot(keys.root.envelope, keys.root.digest);
    const desired = { type: 'desired' as const, device: 'dabcdefgh12', generation: 1, entries: [] };
    const bytes = signDocument('desired', desired, [keys.director]);
    expect(verifyDocument('desired', bytes, signersOf(root, root.roles.director))).toEqual(desired);
  });

  it('certifies a device under the identity the server gives it, whatever the request says', async () => {
    const keys = await ServerKeys.open(dir);
    const { pem, serial, expiresAt } = await keys.issueDeviceCertificate(request(...p256), 'dabcdefgh12', now);
    const certificate = new X509Certificate(pem);
    expect(certificate.subject.split('\n').sort()).toEqual(['CN=dabcdefgh12', 'OU=device']);
    expect(certificate.serialNumber.toLowerCase()).toBe(serial);
    expect(certificate.ca).toBe(false);
    expect(new Date(certificate.validFrom).getTime()).toBe(0);
    // Nothing renews it, so it has to last as long as the board.
    expect(expiresAt.getTime()).toBeGreaterThan(now.getTime() + 9 * 365 * 86_400_000);
    expect(certificate.verify(new X509Certificate(keys.caPem).publicKey)).toBe(true);
    writeFileSync(join(dir, 'ca.pem'), keys.caPem);
    writeFileSync(join(dir, 'device.pem'), pem);
    const verified = execFileSync('openssl', ['verify', '-purpose', 'sslclient', '-CAfile', 'ca.pem', 'device.pem'], {
      cwd: dir,
      encoding: 'utf8',
    });
    expect(verified).toContain('OK');
  });

  it.each([
    ['is not readable', () => 'hello'],
    ['carries another kind of key', () => request('-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048')],
  ])('refuses a request that %s', async (why, csr) => {
    const keys = await ServerKeys.open(dir);
    await expect(keys.issueDeviceCertificate(csr(), 'dabcdefgh12', now)).rejects.toMatchObject({
      code: 'CSR_INVALID',
      message: expect.stringContaining(why),
    });
  });
});
