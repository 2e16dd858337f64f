import { randomBytes } from 'node:crypto';
import { digestOf } from './digest.js';
import { TrustError } from './errors.js';

/**
 * An enrolment token is `bpf1.<id>.<secret>.<root digest>`: the server stores only the digest of the secret, and the
 * device knows from the token which root it must see, so first contact is authenticated both ways.
 */
export interface EnrolmentToken {
  readonly id: string;
  readonly secret: string;
  readonly rootDigest: string;
}

const TOKEN = /^bpf1\.([a-z0-9]{12})\.([a-f0-9]{48})\.([a-f0-9]{64})$/;

export function mintEnrolmentToken(rootDigest: string): EnrolmentToken & { text: string; secretDigest: string } {
  const id = randomBytes(6).toString('hex');
  const secret = randomBytes(24).toString('hex');
  const text = `bpf1.${id}.${secret}.${rootDigest}`;
  return { id, secret, rootDigest, text, secretDigest: digestOf(Buffer.from(secret)) };
}

export function parseEnrolmentToken(text: string): EnrolmentToken {
  const match = TOKEN.exec(text.trim());
  if (!match?.[1] || !match[2] || !match[3]) {
    throw new TrustError(
      'TRUST_KEY',
      'this is not an enrolment token: it should look like bpf1.<id>.<secret>.<digest>',
    );
  }
  return { id: match[1], secret: match[2], rootDigest: match[3] };
}
