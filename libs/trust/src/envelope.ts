import * as z from 'zod';
import { documentRules, type Documents, type DocumentType, type RoleKeys, type RootDocument } from './documents.js';
import { TrustError } from './errors.js';
import { verifyWith, type PublicKey, type SigningKey } from './keys.js';

/** DSSE envelope (https://github.com/secure-systems-lab/dsse, v1.0): the signature covers the payload's bytes and type. */
// Canonical only: the unused bits before the padding must be zero, or two different envelopes would carry one signature.
const base64 = z
  .string()
  .refine((text) => Buffer.from(text, 'base64').toString('base64') === text, 'this is not canonical base64');
const envelopeSchema = z.strictObject({
  payloadType: z.string().max(128),
  payload: base64,
  signatures: z
    .array(
      z.strictObject({
        keyid: z.string().regex(/^[0-9a-f]{64}$/),
        sig: base64.refine((text) => text.length <= 128, 'the signature is too long'),
      }),
    )
    .min(1)
    .max(16),
});

function payloadTypeOf(type: DocumentType): string {
  return `application/vnd.bpfleet.${type}+json`;
}

/** DSSE v1 pre-authentication encoding: lengths make type and payload impossible to confuse. */
function preAuthEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const type = Buffer.from(payloadType, 'utf8');
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} `), type, Buffer.from(` ${payload.length} `), payload]);
}

/** Keys of one role and how many of them must have signed. */
export interface Signers {
  readonly keys: readonly PublicKey[];
  readonly threshold: number;
}

export function signersOf(root: RootDocument, role: RoleKeys): Signers {
  return { keys: root.keys.filter((key) => role.keyids.includes(key.keyid)), threshold: role.threshold };
}

/** The release keys that may sign `probe`: the most specific pattern that matches it wins; none matching means nobody may. */
export function releaseSignersOf(root: RootDocument, probe: string): Signers {
  const matches = root.release.filter(({ probes }) =>
    probes.endsWith('*') ? probe.startsWith(probes.slice(0, -1)) : probe === probes,
  );
  const best = matches.sort((a, b) => specificity(b.probes) - specificity(a.probes))[0];
  return best ? signersOf(root, best.role) : { keys: [], threshold: 1 };
}

function specificity(pattern: string): number {
  return pattern.endsWith('*') ? pattern.length - 1 : 1000;
}

/** Envelope bytes of a document, signed by every key given. Throws TRUST_SCHEMA or TRUST_SIZE before it signs anything. */
export function signDocument<T extends DocumentType>(
  type: T,
  document: Documents[T],
  keys: readonly SigningKey[],
): Buffer {
  const checked = documentRules[type].schema.safeParse(document);
  if (!checked.success) throw new TrustError('TRUST_SCHEMA', `the ${type} is malformed: ${firstIssue(checked.error)}`);
  const payload = Buffer.from(JSON.stringify(checked.data), 'utf8');
  const payloadType = payloadTypeOf(type);
  const message = preAuthEncoding(payloadType, payload);
  const signatures = keys.map((key) => ({ keyid: key.keyid, sig: key.sign(message).toString('base64') }));
  const bytes = Buffer.from(JSON.stringify({ payloadType, payload: payload.toString('base64'), signatures }), 'utf8');
  assertSize(type, bytes);
  return bytes;
}

/**
 * The document inside envelope bytes, once enough of the role's keys are seen to have signed exactly these bytes.
 * Order matters: size, outer shape, type, signatures, and only then is the payload parsed.
 */
export function verifyDocument<T extends DocumentType>(type: T, bytes: Uint8Array, signers: Signers): Documents[T] {
  const payload = verifiedPayload(type, bytes, signers);
  return parsePayload(type, payload);
}

/** The payload's document without any check of who signed: only for first looking up which keys apply. Never act on it. */
export function peekDocument<T extends DocumentType>(type: T, bytes: Uint8Array): Documents[T] {
  return parsePayload(type, openEnvelope(type, bytes).payload);
}

function openEnvelope(type: DocumentType, bytes: Uint8Array) {
  assertSize(type, bytes);
  const envelope = envelopeSchema.safeParse(parseJson(bytes, 'TRUST_ENVELOPE', `the ${type}'s envelope`));
  if (!envelope.success) {
    throw new TrustError('TRUST_ENVELOPE', `the ${type}'s envelope is malformed: ${firstIssue(envelope.error)}`);
  }
  const { payloadType, payload, signatures } = envelope.data;
  if (payloadType !== payloadTypeOf(type)) {
    throw new TrustError('TRUST_TYPE', `expected a ${type}, the envelope says ${JSON.stringify(payloadType)}`);
  }
  return { payloadType, payload: Buffer.from(payload, 'base64'), signatures };
}

function verifiedPayload(type: DocumentType, bytes: Uint8Array, signers: Signers): Buffer {
  const { payloadType, payload, signatures } = openEnvelope(type, bytes);
  const message = preAuthEncoding(payloadType, payload);
  const valid = new Set<string>();
  for (const { keyid, sig } of signatures) {
    const key = signers.keys.find((candidate) => candidate.keyid === keyid);
    if (key && verifyWith(key, message, Buffer.from(sig, 'base64'))) valid.add(keyid);
  }
  if (valid.size < signers.threshold) {
    throw new TrustError(
      'TRUST_SIGNATURE',
      `the ${type} has ${valid.size} valid signature(s) of the ${signers.threshold} it needs`,
      { valid: valid.size, threshold: signers.threshold },
    );
  }
  return payload;
}

function parsePayload<T extends DocumentType>(type: T, payload: Uint8Array): Documents[T] {
  const parsed = documentRules[type].schema.safeParse(parseJson(payload, 'TRUST_SCHEMA', `the ${type}`));
  if (!parsed.success) throw new TrustError('TRUST_SCHEMA', `the ${type} is malformed: ${firstIssue(parsed.error)}`);
  return parsed.data;
}

function parseJson(bytes: Uint8Array, code: 'TRUST_ENVELOPE' | 'TRUST_SCHEMA', what: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw new TrustError(code, `${what} is not JSON`);
  }
}

function assertSize(type: DocumentType, bytes: Uint8Array): void {
  const { bytesMax } = documentRules[type];
  if (bytes.length > bytesMax) {
    throw new TrustError('TRUST_SIZE', `the ${type} is ${bytes.length} bytes; at most ${bytesMax} are allowed`);
  }
}

function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  return issue ? `${issue.path.join('.') || '(document)'}: ${issue.message}` : 'unknown reason';
}
