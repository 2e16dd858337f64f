import 'reflect-metadata';
import { isIP } from 'node:net';
import { createPrivateKey, createPublicKey, randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { DomainError } from '../errors.js';

/**
 * The certificate authority of MQTT's mutual TLS: ECDSA P-256. Certificates of authority and servers are valid from 1970
 * to 9999 and are retired through `root`: a device without a clock must be able to connect before it can learn the time.
 */
// The same object seen through two sets of types: Node's and, where a test brings them in, the browser's.
x509.cryptoProvider.set(webcrypto as never);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const ALWAYS = { notBefore: new Date(0), notAfter: new Date('9999-12-31T23:59:59Z') };
/**
 * As long as a board is in the field: nothing renews a certificate yet, and a device whose has lapsed is reached by nobody. Whoever is
 * to stay out is revoked, not waited for.
 */
const DEVICE_VALID_DAYS = 3_650;

export interface KeyAndCertificate {
  readonly keyPem: string;
  readonly certPem: string;
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = await webcrypto.subtle.exportKey('pkcs8', key);
  return x509.PemConverter.encode(der, 'PRIVATE KEY');
}

async function importKey(pem: string): Promise<webcrypto.CryptoKeyPair> {
  const key = createPrivateKey(pem);
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' });
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return {
    privateKey: await webcrypto.subtle.importKey('pkcs8', pkcs8, ALGORITHM, true, ['sign']),
    publicKey: await webcrypto.subtle.importKey('spki', spki, ALGORITHM, true, ['verify']),
  };
}

/** 16 random bytes with the top bit clear: RFC 5280 §4.1.2.2 wants a positive number of at most 20 octets. */
function mintSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

export async function createAuthority(): Promise<KeyAndCertificate> {
  const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: mintSerial(),
    name: 'CN=bpfleet authority',
    ...ALWAYS,
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  return { keyPem: await exportKey(keys.privateKey), certPem: certificate.toString('pem') };
}

export class Authority {
  private constructor(
    private readonly certificate: x509.X509Certificate,
    private readonly keys: webcrypto.CryptoKeyPair,
  ) {}

  static async open(stored: KeyAndCertificate): Promise<Authority> {
    return new Authority(new x509.X509Certificate(stored.certPem), await importKey(stored.keyPem));
  }

  /** For the broker and for the server's own connections to it; `names` are host names or addresses. */
  async issueServer(names: readonly string[]): Promise<KeyAndCertificate> {
    const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
    const certificate = await this.sign('CN=server, OU=server', keys.publicKey, ALWAYS, mintSerial(), [
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((name) => ({ type: isIP(name) ? ('ip' as const) : ('dns' as const), value: name })),
      ),
    ]);
    return { keyPem: await exportKey(keys.privateKey), certPem: certificate.toString('pem') };
  }

  /**
   * Signs a device's key under an identity of the server's choosing: nothing of the request but the key is used.
   * Throws CSR_INVALID when it is no PKCS#10 request, not P-256, or not signed by the key it carries.
   */
  async issueDevice(csrPem: string, deviceId: string, now: Date) {
    const request = await readRequest(csrPem);
    const expiresAt = new Date(now.getTime() + DEVICE_VALID_DAYS * 86_400_000);
    const serial = mintSerial();
    // Valid from 1970: the device may not know the year yet (DESIGN §5, time).
    const certificate = await this.sign(
      `CN=${deviceId}, OU=device`,
      await request.publicKey.export(),
      { notBefore: new Date(0), notAfter: expiresAt },
      serial,
      [new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth])],
    );
    return { pem: certificate.toString('pem'), serial, expiresAt };
  }

  private sign(
    subject: string,
    publicKey: webcrypto.CryptoKey,
    validity: { notBefore: Date; notAfter: Date },
    serialNumber: string,
    extensions: x509.Extension[],
  ): Promise<x509.X509Certificate> {
    return x509.X509CertificateGenerator.create({
      serialNumber,
      subject,
      issuer: this.certificate.subject,
      ...validity,
      publicKey,
      signingKey: this.keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        ...extensions,
      ],
    });
  }
}

async function readRequest(csrPem: string): Promise<x509.Pkcs10CertificateRequest> {
  const invalid = (why: string) =>
    new DomainError(
      422,
      'CSR_INVALID',
      `the certificate request ${why}; send a PKCS#10 request for an ECDSA P-256 key`,
    );
  let request: x509.Pkcs10CertificateRequest;
  try {
    request = new x509.Pkcs10CertificateRequest(csrPem);
  } catch {
    throw invalid('is not readable');
  }
  const algorithm = request.publicKey.algorithm as { name?: string; namedCurve?: string };
  if (algorithm.name !== 'ECDSA' || algorithm.namedCurve !== 'P-256') throw invalid('carries another kind of key');
  if (!(await request.verify().catch(() => false))) throw invalid('is not signed by the key it carries');
  return request;
}
