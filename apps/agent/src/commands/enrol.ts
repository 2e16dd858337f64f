import { generateKeyPairSync, webcrypto, X509Certificate } from 'node:crypto';
import { hostname } from 'node:os';
import { acceptFirstRoot, digestOf, parseEnrolmentToken, type EnrolmentToken, type RootDocument } from '@bpfleet/trust';
import { isDeviceId } from '@bpfleet/wire';
import * as z from 'zod';
import { AgentError } from '../agent-error.js';
import { DocumentStore } from '../store/documents.js';
import { assertBelongTogether, enrolledFleet, isEnrolled, saveIdentity, type Identity } from '../store/identity.js';

const RESPONSE_BYTES_MAX = 256 * 1024;
const TIMEOUT_MS = 30_000;

/** What `POST /api/enrol` answers; what else a newer server says is ignored. */
const responseSchema = z.object({
  device: z.string().refine(isDeviceId),
  certificate: z.string().max(16_384),
  root: z.string().max(96 * 1024),
  mqttUrl: z.string().regex(/^mqtts:\/\/[^\s/]+$/),
});
const refusalSchema = z.object({ error: z.object({ code: z.string(), message: z.string() }) });

export interface EnrolOptions {
  readonly server: string;
  readonly token: string;
  readonly state: string;
  /** Give up the identity that the folder holds. */
  readonly replace?: boolean;
}

/**
 * Makes this device's own key, asks for a certificate, and checks everything that came back against the token before
 * anything is stored. Returns the device id.
 * @throws AgentError TOKEN_INVALID, SERVER_INVALID, ENROL_EXISTS, ENROL_OTHER_FLEET, ENROL_REFUSED, ENROL_INVALID; TrustError when
 * the root is not the token's
 */
export async function enrol(options: EnrolOptions): Promise<string> {
  const token = readToken(options.token);
  const url = enrolUrl(options.server);
  if (isEnrolled(options.state) && !options.replace) throw enrolledAlready(options.state, token);
  const { csr, key } = await makeRequest();
  const answer = await ask(url, { token: options.token.trim(), csr, hostname: hostname().slice(0, 256) });
  const rootBytes = Buffer.from(answer.root, 'base64');
  const root = acceptFirstRoot(rootBytes, token.rootDigest);
  const { device, mqttUrl, certificate } = answer;
  const identity = { device, mqttUrl, fleet: token.rootDigest, key, certificate };
  assertIssuedBy(root, identity);
  new DocumentStore(options.state).saveRoot(rootBytes);
  saveIdentity(options.state, identity);
  return identity.device;
}

function readToken(text: string): EnrolmentToken {
  try {
    return parseEnrolmentToken(text);
  } catch (error) {
    throw new AgentError('TOKEN_INVALID', (error as Error).message);
  }
}

/** A server may lie behind a path of a host that has others too. */
function enrolUrl(server: string): URL {
  const url = URL.canParse(server) ? new URL(server) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw new AgentError(
      'SERVER_INVALID',
      `"${server}" is no address of a server: it should look like https://fleet.example.org`,
    );
  }
  return new URL(`${url.origin}${url.pathname.replace(/\/+$/, '')}/api/enrol`);
}

/**
 * A fleet is known by the root that tokens name. After a rotation of keys a token may name the first root or the newest: both
 * are this fleet's.
 */
function enrolledAlready(state: string, { rootDigest }: EnrolmentToken): AgentError {
  const root = new DocumentStore(state).root();
  const ours = [enrolledFleet(state), root && digestOf(root)];
  if (ours.includes(rootDigest))
    return new AgentError('ENROL_EXISTS', `${state} holds an identity of this fleet already`);
  return new AgentError(
    'ENROL_OTHER_FLEET',
    `${state} holds an identity of another fleet than this token's; to give it up, enrol with --replace and restart the agent`,
  );
}

async function makeRequest(): Promise<{ csr: string; key: string }> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const csr = await certificateRequest(privateKey.export({ type: 'pkcs8', format: 'der' }));
  return { csr, key };
}

async function certificateRequest(pkcs8: Buffer): Promise<string> {
  // Needed by @peculiar/x509; both are loaded here alone, since a running agent has no use for them.
  await import('reflect-metadata');
  const { Pkcs10CertificateRequestGenerator } = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
  const privateKey = await webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign']);
  const { kty, crv, x, y } = await webcrypto.subtle.exportKey('jwk', privateKey);
  const publicJwk = { kty, crv, x, y } as webcrypto.JsonWebKey;
  const publicKey = await webcrypto.subtle.importKey('jwk', publicJwk, algorithm, true, ['verify']);
  // The server mints the name; it ignores this one.
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: 'CN=device',
    keys: { privateKey, publicKey },
    signingAlgorithm: algorithm,
  });
  return request.toString('pem');
}

async function ask(url: URL, body: object): Promise<z.infer<typeof responseSchema>> {
  let text: string;
  let status: number;
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
      redirect: 'error',
    });
    status = response.status;
    text = await readBounded(response);
  } catch (cause) {
    const reason = (cause as Error & { cause?: Error }).cause?.message ?? (cause as Error).message;
    throw new AgentError('ENROL_REFUSED', `${url.href} cannot be reached: ${reason}`);
  }
  if (status !== 200 && status !== 201) throw refused(status, text);
  const parsed = responseSchema.safeParse(json(text));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new AgentError(
    'ENROL_INVALID',
    `the server's answer is malformed: ${issue?.path.join('.')}: ${issue?.message}`,
  );
}

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk as Uint8Array);
    bytes += (chunk as Uint8Array).length;
    if (bytes > RESPONSE_BYTES_MAX) throw new Error(`the answer is longer than ${RESPONSE_BYTES_MAX} bytes`);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function refused(status: number, text: string): AgentError {
  const refusal = refusalSchema.safeParse(json(text)).data?.error;
  const why = refusal ? `${refusal.code}: ${refusal.message.slice(0, 500)}` : `HTTP ${status}`;
  return new AgentError('ENROL_REFUSED', `the server refused to enrol this device: ${why}`, { status });
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** For our key, for the name the server says, and by an authority of the root that the token vouched for. */
function assertIssuedBy(root: RootDocument, identity: Identity): void {
  try {
    assertBelongTogether(identity.device, identity.key, identity.certificate);
  } catch (error) {
    throw new AgentError('ENROL_INVALID', (error as Error).message);
  }
  const certificate = new X509Certificate(identity.certificate);
  const issued = root.caBundle.some((pem) => certificate.verify(new X509Certificate(pem).publicKey));
  if (!issued)
    throw new AgentError('ENROL_INVALID', "the certificate is not signed by an authority of the fleet's root");
}
