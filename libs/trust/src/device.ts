import type { AddendumDocument, DesiredDocument, FreshDocument, RootDocument } from './documents.js';
import { digestOf } from './digest.js';
import { releaseSignersOf, signersOf, verifyDocument, peekDocument } from './envelope.js';
import type { ReleaseDocument } from './documents.js';
import { TrustError } from './errors.js';

/**
 * What a device checks, in one place and without I/O: the agent calls these with bytes as they came and acts only on
 * what is returned.
 */

/** First contact: the enrolment token carries the digest of `root`, so the first root is authenticated by the token. */
export function acceptFirstRoot(bytes: Uint8Array, expectedDigest: string): RootDocument {
  const actual = digestOf(bytes);
  if (actual !== expectedDigest) {
    throw new TrustError('TRUST_DIGEST', `the root has digest ${actual}; the token promised ${expectedDigest}`);
  }
  const root = peekDocument('root', bytes);
  return verifyDocument('root', bytes, signersOf(root, root.roles.root));
}

/** The next root must be version N+1, signed by enough keys of the old root and of its own (TUF §5.3.4). */
export function acceptNextRoot(current: RootDocument, bytes: Uint8Array): RootDocument {
  const next = verifyDocument('root', bytes, signersOf(current, current.roles.root));
  verifyDocument('root', bytes, signersOf(next, next.roles.root));
  if (next.version !== current.version + 1) {
    throw new TrustError('TRUST_ROLLBACK', `root ${next.version} cannot follow root ${current.version}`);
  }
  return next;
}

export interface HeldDesired {
  readonly generation: number;
  readonly digest: string;
}

/** A desired state for this device that is not older than the one held; the same generation must be the same bytes. */
export function acceptDesired(
  root: RootDocument,
  device: string,
  held: HeldDesired | undefined,
  bytes: Uint8Array,
): DesiredDocument {
  const desired = verifyDocument('desired', bytes, signersOf(root, root.roles.director));
  assertDevice('desired', device, desired.device);
  if (held && desired.generation < held.generation) {
    throw new TrustError('TRUST_ROLLBACK', `generation ${desired.generation} is older than ${held.generation}`, {
      offered: desired.generation,
      held: held.generation,
    });
  }
  if (held && desired.generation === held.generation && digestOf(bytes) !== held.digest) {
    throw new TrustError('TRUST_ROLLBACK', `generation ${desired.generation} came with two different contents`);
  }
  return desired;
}

/** Answers the question "is what I hold still what the server wants?" for the nonce of a sync that is under way. */
export function acceptFresh(
  root: RootDocument,
  device: string,
  nonces: readonly string[],
  bytes: Uint8Array,
): FreshDocument {
  const fresh = verifyDocument('fresh', bytes, signersOf(root, root.roles.director));
  assertDevice('fresh', device, fresh.device);
  if (!nonces.includes(fresh.nonce)) {
    throw new TrustError('TRUST_FRESHNESS', 'the fresh document answers another nonce: it may be a replay');
  }
  return fresh;
}

/** The release named by `digest` in a desired state: the bytes must be those, and a release key for that probe must have signed. */
export function acceptRelease(root: RootDocument, digest: string, bytes: Uint8Array): ReleaseDocument {
  const actual = digestOf(bytes);
  if (actual !== digest) {
    throw new TrustError('TRUST_DIGEST', `the release has digest ${actual}; the desired state names ${digest}`);
  }
  const { probe } = peekDocument('release', bytes);
  return verifyDocument('release', bytes, releaseSignersOf(root, probe));
}

/** What an addendum must be for: this release's object, on this very kernel. */
export interface AddendumUse {
  readonly release: string;
  readonly object: string;
  /** Of the running kernel; null where it shows none, which matches nothing. */
  readonly buildId: string | null;
}

/** The addendum named by `digest` in a desired state, signed by the role `btf`; with `use`, only when it is for exactly that. */
export function acceptAddendum(
  root: RootDocument,
  digest: string,
  bytes: Uint8Array,
  use?: AddendumUse,
): AddendumDocument {
  const actual = digestOf(bytes);
  if (actual !== digest) {
    throw new TrustError('TRUST_DIGEST', `the addendum has digest ${actual}; the desired state names ${digest}`);
  }
  const addendum = verifyDocument('addendum', bytes, signersOf(root, root.roles.btf));
  if (!use) return addendum;
  if (addendum.release !== use.release || addendum.object !== use.object) {
    throw new TrustError('TRUST_KERNEL', 'the addendum is for another release, or for another of its objects');
  }
  if (addendum.buildId !== use.buildId) {
    const { buildId } = addendum;
    throw new TrustError(
      'TRUST_KERNEL',
      `the addendum is for kernel build ${buildId}, this is ${use.buildId ?? 'none'}`,
    );
  }
  return addendum;
}

/** A blob named by its digest: returned as it is, or refused. */
export function acceptBlob(digest: string, bytes: Uint8Array): Uint8Array {
  const actual = digestOf(bytes);
  if (actual !== digest) {
    throw new TrustError('TRUST_DIGEST', `the blob has digest ${actual}; the release names ${digest}`);
  }
  return bytes;
}

function assertDevice(what: string, expected: string, actual: string): void {
  if (expected !== actual) {
    throw new TrustError('TRUST_DEVICE', `the ${what} is for device ${actual}, this is ${expected}`);
  }
}
