import { webcrypto } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import 'reflect-metadata';
import { Pkcs10CertificateRequest, X509CertificateGenerator } from '@peculiar/x509';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { digestOf, generateSigningKey, mintEnrolmentToken, signDocument, type RootDocument } from '@bpfleet/trust';
import { loadIdentity } from '../store/identity.js';
import { DocumentStore } from '../store/documents.js';
import { enrol } from './enrol.js';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DEVICE = 'denrol00001';

async function authority() {
  const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const name = 'CN=test CA';
  const certificate = await X509CertificateGenerator.createSelfSigned({ name, keys, signingAlgorithm: ALGORITHM });
  return { keys, certificate };
}
type Authority = Awaited<ReturnType<typeof authority>>;

async function issue({ keys, certificate }: Authority, csr: string, device: string): Promise<string> {
  const issued = await X509CertificateGenerator.create({
    subject: `CN=${device}, OU=device`,
    issuer: certificate.subject,
    publicKey: new Pkcs10CertificateRequest(csr).publicKey,
    signingKey: keys.privateKey,
    signingAlgorithm: ALGORITHM,
  });
  return issued.toString('pem');
}

function signedRoot(caBundle: string[]): Buffer {
  const key = generateSigningKey();
  const role = { keyids: [key.keyid], threshold: 1 };
  const document: RootDocument = {
    type: 'root',
    version: 1,
    keys: [{ keyid: key.keyid, spki: key.spki }],
    roles: { root: role, director: role, btf: role, agent: role },
    release: [{ probes: '*', role }],
    caBundle,
    people: [],
  };
  return signDocument('root', document, [key]);
}

describe('enrol', () => {
  let folder: string;
  let http: Server;
  let ca: Authority;
  let root: Buffer;
  let answer: (request: { token: string; csr: string }) => Promise<{ status: number; body: unknown }>;
  let server: string;
  let asked: (string | undefined)[];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'bpfleet-enrol-'));
    ca = await authority();
    root = signedRoot([ca.certificate.toString('pem')]);
    answer = async ({ csr }) => ({
      status: 201,
      body: {
        device: DEVICE,
        certificate: await issue(ca, csr, DEVICE),
        root: root.toString('base64'),
        mqttUrl: 'mqtts://localhost:8883',
      },
    });
    asked = [];
    http = createServer((request, response) => {
      asked.push(request.url);
      void (async () => {
        const chunks: Buffer[] = [];
        for await (const chunk of request) chunks.push(chunk as Buffer);
        const { status, body } = await answer(
          JSON.parse(Buffer.concat(chunks).toString()) as { token: string; csr: string },
        );
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      })();
    });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    server = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  });
  afterEach(() => {
    http.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const token = (): string => mintEnrolmentToken(digestOf(root)).text;
  const stored = (): string[] => readdirSync(folder);

  it('makes a key of its own, and keeps identity and root once both are proven', async () => {
    await expect(enrol({ server, token: token(), state: folder })).resolves.toBe(DEVICE);
    const identity = loadIdentity(folder);
    expect(identity).toMatchObject({ device: DEVICE, mqttUrl: 'mqtts://localhost:8883' });
    expect(identity.key).toContain('PRIVATE KEY');
    expect(statSync(join(folder, 'identity', 'key.pem')).mode & 0o777).toBe(0o600);
    expect(new DocumentStore(folder).root()?.equals(root)).toBe(true);
  });

  it('does not give up an identity unless it is told to', async () => {
    await enrol({ server, token: token(), state: folder });
    await expect(enrol({ server, token: token(), state: folder })).rejects.toMatchObject({ code: 'ENROL_EXISTS' });
    await expect(enrol({ server, token: token(), state: folder, replace: true })).resolves.toBe(DEVICE);
  });

  it('says so when the token is of another fleet, and keeps the identity that it has', async () => {
    await enrol({ server, token: token(), state: folder });
    const before = loadIdentity(folder);
    root = signedRoot([ca.certificate.toString('pem')]);
    await expect(enrol({ server, token: token(), state: folder })).rejects.toMatchObject({
      code: 'ENROL_OTHER_FLEET',
      message: expect.stringContaining('--replace'),
    });
    expect(loadIdentity(folder)).toEqual(before);
    await enrol({ server, token: token(), state: folder, replace: true });
    expect(loadIdentity(folder).key).not.toBe(before.key);
  });

  it('knows its fleet by its first root and by the newest one', async () => {
    const first = token();
    await enrol({ server, token: first, state: folder });
    const newest = signedRoot([ca.certificate.toString('pem')]);
    new DocumentStore(folder).saveRoot(newest);
    for (const one of [first, mintEnrolmentToken(digestOf(newest)).text]) {
      await expect(enrol({ server, token: one, state: folder })).rejects.toMatchObject({ code: 'ENROL_EXISTS' });
    }
  });

  it.each(['', '/', '/fleet', '/behind/a/path//'])('asks a server at the path "%s" below it', async (path) => {
    await enrol({ server: `${server}${path}`, token: token(), state: folder });
    expect(asked).toEqual([`${path.replace(/\/+$/, '')}/api/enrol`]);
  });

  it.each(['fleet.example.org', 'ftp://fleet.example.org', ''])(
    'refuses the address "%s" in a sentence',
    async (bad) => {
      await expect(enrol({ server: bad, token: token(), state: folder })).rejects.toMatchObject({
        code: 'SERVER_INVALID',
        message: expect.stringContaining('https://fleet.example.org'),
      });
    },
  );

  it('stores nothing when the root is not the one that the token promised', async () => {
    const promised = token();
    root = signedRoot([ca.certificate.toString('pem')]);
    await expect(enrol({ server, token: promised, state: folder })).rejects.toMatchObject({ code: 'TRUST_DIGEST' });
    expect(stored()).toEqual([]);
  });

  it.each([
    ['another authority', async (csr: string) => issue(await authority(), csr, DEVICE)],
    ['another name', async (csr: string) => issue(ca, csr, 'dsomebody01')],
    ['no certificate', async () => 'hello'],
  ])('stores nothing when the certificate is of %s', async (_what, certificateFor) => {
    const honest = answer;
    answer = async (request) => {
      const { status, body } = await honest(request);
      return { status, body: { ...(body as object), certificate: await certificateFor(request.csr) } };
    };
    await expect(enrol({ server, token: token(), state: folder })).rejects.toMatchObject({ code: 'ENROL_INVALID' });
    expect(stored()).toEqual([]);
  });

  it('says why the server refused', async () => {
    answer = async () => ({ status: 403, body: { error: { code: 'TOKEN_USED', message: 'the token was used' } } });
    await expect(enrol({ server, token: token(), state: folder })).rejects.toMatchObject({
      code: 'ENROL_REFUSED',
      message: expect.stringContaining('TOKEN_USED: the token was used'),
    });
  });

  it('refuses what is no token before it asks anybody', async () => {
    await expect(enrol({ server, token: 'bpf1.x', state: folder })).rejects.toMatchObject({
      code: 'TOKEN_INVALID',
      message: 'this is not an enrolment token: it should look like bpf1.<id>.<secret>.<digest>',
    });
  });
});
