import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto';
import { digestOf } from './digest.js';
import { TrustError } from './errors.js';

/** A public Ed25519 key as it stands in `root`: the id is the SHA-256 of its SPKI DER, so an id cannot be claimed for another key. */
export interface PublicKey {
  readonly keyid: string;
  /** SPKI DER, base64. */
  readonly spki: string;
}

export interface SigningKey extends PublicKey {
  sign(message: Uint8Array): Buffer;
  /** PKCS#8 PEM; the caller writes it with mode 0600. */
  exportPem(): string;
}

function publicKeyOf(key: KeyObject): PublicKey {
  const der = createPublicKey(key).export({ type: 'spki', format: 'der' });
  return { keyid: digestOf(der), spki: der.toString('base64') };
}

function signingKeyOf(key: KeyObject): SigningKey {
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new TrustError('TRUST_KEY', `a signing key must be Ed25519, not ${key.asymmetricKeyType ?? 'symmetric'}`);
  }
  return {
    ...publicKeyOf(key),
    sign: (message) => sign(null, message, key),
    exportPem: () => key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

export function generateSigningKey(): SigningKey {
  return signingKeyOf(generateKeyPairSync('ed25519').privateKey);
}

/** Throws TRUST_KEY when the PEM is not an Ed25519 private key. */
export function signingKeyFromPem(pem: string): SigningKey {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw new TrustError('TRUST_KEY', `the PEM holds no readable private key: ${(cause as Error).message}`);
  }
  return signingKeyOf(key);
}

/** True when `signature` is this key's over `message`; a key whose id is not its own digest verifies nothing. */
export function verifyWith(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  const der = Buffer.from(key.spki, 'base64');
  if (digestOf(der) !== key.keyid) return false;
  try {
    const object = createPublicKey({ key: der, format: 'der', type: 'spki' });
    return object.asymmetricKeyType === 'ed25519' && verify(null, message, object, signature);
  } catch {
    return false;
  }
}
