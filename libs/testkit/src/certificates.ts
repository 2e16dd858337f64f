import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
  X509CrlGenerator,
  X509CrlReason,
} from '@peculiar/x509';
import type { Extension, X509Certificate } from '@peculiar/x509';

/** PEM of a certificate and its PKCS#8 key. */
export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
  readonly serialNumber: string;
}

export interface TestCa {
  /** PEM of the root. */
  readonly ca: string;
  /** For a listener and for the server's own MQTT clients: OU=server, names localhost and 127.0.0.1. Default CN `server`. */
  issueServer(commonName?: string): Promise<TestCertificate>;
  /** OU=device, CN = the device id. */
  issueDevice(deviceId: string): Promise<TestCertificate>;
  /** Any other subject: for certificates that must be refused. */
  issue(subject: string): Promise<TestCertificate>;
  /** PEM of a revocation list. */
  revoke(...certificates: TestCertificate[]): Promise<string>;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
// Server certificates are valid always: a device without a clock thinks it is 1970.
const NOT_BEFORE = new Date('1970-01-01T00:00:00Z');
const NOT_AFTER = new Date('2049-12-31T23:59:59Z');

type KeyPair = webcrypto.CryptoKeyPair;

function serial(): string {
  // RFC 5280 wants a positive integer: the first bit is cleared, and the byte kept non-zero so that DER keeps its length.
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] as number) & 0x3f) | 0x40;
  return bytes.toString('hex');
}

function generateKeys(): Promise<KeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) as Promise<KeyPair>;
}

async function keyPem(key: webcrypto.CryptoKey): Promise<string> {
  const base64 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${base64.match(/.{1,64}/g)?.join('\n')}\n-----END PRIVATE KEY-----\n`;
}

interface Authority {
  readonly root: X509Certificate;
  readonly keys: KeyPair;
}

async function createAuthority(): Promise<Authority> {
  const keys = await generateKeys();
  const root = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: 'CN=bpfleet test CA',
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  return { root, keys };
}

async function issueFrom(authority: Authority, subject: string, extensions: Extension[]): Promise<TestCertificate> {
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serial(),
    subject,
    issuer: authority.root.subject,
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: authority.keys.privateKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      await AuthorityKeyIdentifierExtension.create(authority.keys.publicKey),
      ...extensions,
    ],
  });
  return {
    cert: certificate.toString('pem'),
    key: await keyPem(keys.privateKey),
    serialNumber: certificate.serialNumber,
  };
}

async function revocationList(authority: Authority, certificates: readonly TestCertificate[]): Promise<string> {
  const revocationDate = new Date('2026-01-01T00:00:00Z');
  const list = await X509CrlGenerator.create({
    issuer: authority.root.subject,
    thisUpdate: NOT_BEFORE,
    nextUpdate: NOT_AFTER,
    entries: certificates.map(({ serialNumber }) => ({
      serialNumber,
      revocationDate,
      reason: X509CrlReason.keyCompromise,
    })),
    signingAlgorithm: ALGORITHM,
    signingKey: authority.keys.privateKey,
  });
  // The library labels it `CRL`; RFC 7468 and OpenSSL read `X509 CRL`.
  return list.toString('pem').replaceAll(' CRL-----', ' X509 CRL-----');
}

/** A certificate authority for one test: ECDSA P-256, everything in memory, nothing that expires while tests exist. */
export async function testCa(): Promise<TestCa> {
  const authority = await createAuthority();
  const client = new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth]);
  const both = new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]);
  const names = new SubjectAlternativeNameExtension([
    { type: 'dns', value: 'localhost' },
    { type: 'ip', value: '127.0.0.1' },
  ]);
  return {
    ca: authority.root.toString('pem'),
    issueServer: (commonName = 'server') => issueFrom(authority, `CN=${commonName}, OU=server`, [both, names]),
    issueDevice: (deviceId) => issueFrom(authority, `CN=${deviceId}, OU=device`, [client]),
    issue: (subject) => issueFrom(authority, subject, [client]),
    revoke: (...certificates) => revocationList(authority, certificates),
  };
}
