import 'reflect-metadata';
import { createSign, generateKeyPairSync, webcrypto } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { acceptFirstRoot, parseEnrolmentToken } from '@bpfleet/trust';
import { createTestDatabase, type TestDatabase } from '@bpfleet/testkit';
import * as x509 from '@peculiar/x509';
import { Bench } from '../control/testing/bench.js';
import { ControlModule } from '../control/index.js';
import { EnrolRate } from './enrol-rate.js';
import { Enrolment } from './enrol.service.js';
import { EnrolmentApiModule } from './index.js';
import { EnrolmentTokens } from './tokens.service.js';

let database: TestDatabase;
let bench: Bench;

beforeAll(async () => {
  database = await createTestDatabase();
  bench = await Bench.start({ databaseUrl: database.url, modules: [EnrolmentApiModule, ControlModule] });
});
afterAll(async () => {
  await bench?.stop();
  await database?.drop();
});

async function csr(): Promise<string> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=i-choose-my-own-name',
    keys: keys as webcrypto.CryptoKeyPair,
    signingAlgorithm: algorithm,
  });
  return request.toString('pem');
}

const token = (given: { uses?: number; expiresInMinutes?: number; labels?: Record<string, string> } = {}) =>
  bench.get(EnrolmentTokens).create('alice', { name: 'test', uses: 1, expiresInMinutes: 60, labels: {}, ...given });
const enrol = async (text: string, hostname = 'edge-1', request?: string) =>
  bench.get(Enrolment).enrol({ token: text, csr: request ?? (await csr()), hostname });

describe('enrolment', () => {
  it('turns a token and a request into a certificate, an identity of the server’s choosing, and the root the token names', async () => {
    const created = await token({ labels: { site: 'oslo' } });
    expect(created.command).toContain(` ${created.token}`);
    const answer = await enrol(created.token, 'edge\u0000-1\nroot: gone');
    expect(answer.device).toMatch(/^d[a-z0-9]{16}$/);
    const certificate = new x509.X509Certificate(answer.certificate);
    expect(certificate.subject).toBe(`CN=${answer.device}, OU=device`);
    const root = acceptFirstRoot(Buffer.from(answer.root, 'base64'), parseEnrolmentToken(created.token).rootDigest);
    const authority = new x509.X509Certificate(root.caBundle[0] as string);
    expect(await certificate.verify({ publicKey: authority })).toBe(true);
    const device = await bench.prisma.device.findUniqueOrThrow({
      where: { id: answer.device },
      include: { certificates: true },
    });
    expect(device).toMatchObject({
      name: 'edge-1 root: gone',
      labels: { site: 'oslo' },
      status: 'active',
      online: false,
    });
    expect(device.certificates).toHaveLength(1);
    expect(JSON.stringify(await bench.get(EnrolmentTokens).list())).not.toContain(created.token.split('.')[2]);
  });

  it('lets one of two concurrent enrolments with a one-use token win, and says what to do to the other', async () => {
    const { token: text } = await token();
    const results = await Promise.allSettled([enrol(text), enrol(text), enrol(text)]);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results.filter((one) => one.status === 'rejected')) {
      expect(result.reason).toMatchObject({
        code: 'TOKEN_USED',
        message: expect.stringContaining('ask for a new one'),
      });
    }
  });

  it('takes a host name that is too long, and cuts no character in two', async () => {
    const { token: text } = await token();
    const { device } = await enrol(text, `x${'\u{1f642}'.repeat(100)}`);
    const { name } = await bench.prisma.device.findUniqueOrThrow({ where: { id: device } });
    expect(name).toBe(`x${'\u{1f642}'.repeat(63)}`);
  });

  it('counts uses down', async () => {
    const { token: text, id } = await token({ uses: 3 });
    await Promise.all([enrol(text), enrol(text)]);
    const row = (await bench.get(EnrolmentTokens).list()).find((one) => one.id === id);
    expect(row?.usesLeft).toBe(1);
  });

  it('gives the use back when the request is bad', async () => {
    const { token: text } = await token();
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const notARequest = createSign('sha256').update('x').sign(privateKey).toString('base64');
    await expect(enrol(text, 'edge', notARequest)).rejects.toMatchObject({ code: 'CSR_INVALID', status: 422 });
    await expect(enrol(text)).resolves.toMatchObject({ device: expect.any(String) });
  });

  it('refuses what is no token, a token of nobody, a wrong secret, another root, and one that was revoked', async () => {
    const { token: text, id } = await token();
    const [, , secret, root] = text.split('.') as [string, string, string, string];
    const flipped = secret.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
    const bad = [
      'hello',
      text.replace(id, 'abcdefghijkl'),
      text.replace(secret, flipped),
      text.replace(root, 'f'.repeat(64)),
    ];
    for (const one of bad) await expect(enrol(one)).rejects.toMatchObject({ code: 'TOKEN_UNKNOWN' });
    await bench.get(EnrolmentTokens).revoke('alice', id);
    await expect(enrol(text)).rejects.toMatchObject({ code: 'TOKEN_UNKNOWN' });
  });

  it('refuses an expired token and says when it expired', async () => {
    const { token: text, expiresAt } = await token({ expiresInMinutes: 5 });
    bench.clock.advance(5 * 60_000);
    await expect(enrol(text)).rejects.toMatchObject({
      code: 'TOKEN_EXPIRED',
      message: expect.stringContaining(expiresAt),
    });
  });

  it('bounds how often strangers may ask', () => {
    const rate = bench.get(EnrolRate);
    for (let i = 0; i < 60; i++) rate.take('192.0.2.1');
    expect(() => rate.take('192.0.2.1')).toThrow('try again in a minute');
    expect(() => rate.take('192.0.2.2')).not.toThrow();
    bench.clock.advance(60_000);
    expect(() => rate.take('192.0.2.1')).not.toThrow();
  });
});
