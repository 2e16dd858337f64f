import { describe, expect, it } from '@jest/globals';
import {
  acceptAddendum,
  acceptBlob,
  acceptDesired,
  acceptFirstRoot,
  acceptFresh,
  acceptNextRoot,
  acceptRelease,
  digestOf,
  generateSigningKey,
  signDocument,
  TrustError,
  type DesiredDocument,
  type RootDocument,
  type SigningKey,
} from './index.js';

const keys = {
  root: generateSigningKey(),
  director: generateSigningKey(),
  release: generateSigningKey(),
  special: generateSigningKey(),
  btf: generateSigningKey(),
  stranger: generateSigningKey(),
};
const device = 'dabcdefgh12';

function rootDocument(overrides: Partial<RootDocument> = {}): RootDocument {
  const role = (...members: SigningKey[]) => ({ keyids: members.map((key) => key.keyid), threshold: 1 });
  return {
    type: 'root',
    version: 1,
    keys: Object.values(keys).map(({ keyid, spki }) => ({ keyid, spki })),
    roles: { root: role(keys.root), director: role(keys.director), btf: role(keys.btf), agent: role(keys.release) },
    release: [
      { probes: '*', role: role(keys.release) },
      { probes: 'secret_*', role: role(keys.special) },
    ],
    caBundle: ['-----BEGIN CERTIFICATE-----'],
    people: [],
    ...overrides,
  };
}

function desired(generation: number): DesiredDocument {
  return {
    type: 'desired',
    device,
    generation,
    entries: [
      {
        run: 'rabcdefgh12',
        release: 'a'.repeat(64),
        probe: 'trace_exec',
        version: '1.0.0',
        params: { min_us: 5, name: 'x', on: true },
        budget: { cpuPercent: 1, mapBytes: 1024, eventsPerSecond: 10 },
        leaseSeconds: 3600,
        reason: { kind: 'assignment', intent: 'i1' },
      },
    ],
  };
}

function release(probe: string, ...signers: SigningKey[]): Buffer {
  const objects = [{ arch: 'any' as const, digest: 'b'.repeat(64), bytes: 10 }];
  const createdAt = '2026-01-01T00:00:00Z';
  return signDocument(
    'release',
    { type: 'release', probe, version: '1.0.0', manifest: 'name: x', objects, createdAt },
    signers,
  );
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof TrustError) return error.code;
    throw error;
  }
  return 'accepted';
}

describe('documents', () => {
  const root = rootDocument();

  it('come back as they were signed', () => {
    const bytes = signDocument('desired', desired(7), [keys.director]);
    expect(acceptDesired(root, device, undefined, bytes)).toEqual(desired(7));
  });

  it('are refused when any single byte of the envelope is flipped', () => {
    const bytes = signDocument('desired', desired(7), [keys.director]);
    const accepted: number[] = [];
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      if (codeOf(() => acceptDesired(root, device, undefined, flipped)) === 'accepted') accepted.push(at);
    }
    expect(accepted).toEqual([]);
  });

  it('are refused when a key without the role signed them', () => {
    const bytes = signDocument('desired', desired(1), [keys.release, keys.stranger]);
    expect(codeOf(() => acceptDesired(root, device, undefined, bytes))).toBe('TRUST_SIGNATURE');
  });

  it('count a key once, however often it signed', () => {
    const two = rootDocument();
    const strict = {
      ...two,
      roles: { ...two.roles, director: { keyids: [keys.director.keyid, keys.btf.keyid], threshold: 2 } },
    };
    const twice = signDocument('desired', desired(1), [keys.director, keys.director]);
    expect(codeOf(() => acceptDesired(strict, device, undefined, twice))).toBe('TRUST_SIGNATURE');
    const both = signDocument('desired', desired(1), [keys.director, keys.btf]);
    expect(codeOf(() => acceptDesired(strict, device, undefined, both))).toBe('accepted');
  });

  it('of one type cannot be passed off as another', () => {
    const fresh = signDocument('release', JSON.parse(payloadOf(release('x_probe', keys.release))), [keys.director]);
    expect(codeOf(() => acceptDesired(root, device, undefined, fresh))).toBe('TRUST_TYPE');
  });

  it('are refused before they are parsed when they are too large', () => {
    expect(codeOf(() => acceptFresh(root, device, ['0'.repeat(32)], Buffer.alloc(3000, 0x20)))).toBe('TRUST_SIZE');
  });

  it('with a field nobody knows are refused', () => {
    const extra = { ...desired(1), more: 1 } as DesiredDocument;
    expect(codeOf(() => signDocument('desired', extra, [keys.director]))).toBe('TRUST_SCHEMA');
  });
});

describe('a device', () => {
  const root = rootDocument();

  it('does not take a desired state meant for another device', () => {
    const bytes = signDocument('desired', { ...desired(1), device: 'dother123456' }, [keys.director]);
    expect(codeOf(() => acceptDesired(root, device, undefined, bytes))).toBe('TRUST_DEVICE');
  });

  it('does not go back to an older generation, nor take a second content for the one it holds', () => {
    const bytes = signDocument('desired', desired(4), [keys.director]);
    const held = { generation: 4, digest: digestOf(bytes) };
    expect(codeOf(() => acceptDesired(root, device, held, bytes))).toBe('accepted');
    const older = signDocument('desired', desired(3), [keys.director]);
    expect(codeOf(() => acceptDesired(root, device, held, older))).toBe('TRUST_ROLLBACK');
    const other = signDocument('desired', { ...desired(4), entries: [] }, [keys.director]);
    expect(codeOf(() => acceptDesired(root, device, held, other))).toBe('TRUST_ROLLBACK');
  });

  it('takes an answer only to the nonce it just sent', () => {
    const digests = { root: 'c'.repeat(64), desired: 'd'.repeat(64), revocation: null };
    const bytes = signDocument(
      'fresh',
      { type: 'fresh', device, nonce: '1'.repeat(32), time: '2026-01-01T00:00:00Z', generation: 1, digests },
      [keys.director],
    );
    expect(codeOf(() => acceptFresh(root, device, ['1'.repeat(32)], bytes))).toBe('accepted');
    expect(codeOf(() => acceptFresh(root, device, ['2'.repeat(32)], bytes))).toBe('TRUST_FRESHNESS');
  });

  it('takes a release only by its digest and only from a key that may sign that probe', () => {
    const general = release('trace_exec', keys.release);
    expect(codeOf(() => acceptRelease(root, digestOf(general), general))).toBe('accepted');
    expect(codeOf(() => acceptRelease(root, 'e'.repeat(64), general))).toBe('TRUST_DIGEST');
    const secret = release('secret_probe', keys.release);
    expect(codeOf(() => acceptRelease(root, digestOf(secret), secret))).toBe('TRUST_SIGNATURE');
    const allowed = release('secret_probe', keys.special);
    expect(codeOf(() => acceptRelease(root, digestOf(allowed), allowed))).toBe('accepted');
  });

  it('takes a blob only by its digest', () => {
    const bytes = Buffer.from('object');
    expect(acceptBlob(digestOf(bytes), bytes)).toBe(bytes);
    expect(codeOf(() => acceptBlob(digestOf(bytes), Buffer.from('objecT')))).toBe('TRUST_DIGEST');
  });

  it('takes the first root by the digest of its token, and the next only from both old and new keys', () => {
    const first = signDocument('root', rootDocument(), [keys.root]);
    expect(codeOf(() => acceptFirstRoot(first, digestOf(first)))).toBe('accepted');
    expect(codeOf(() => acceptFirstRoot(first, 'f'.repeat(64)))).toBe('TRUST_DIGEST');

    const roles = { ...root.roles, root: { keyids: [keys.stranger.keyid], threshold: 1 } };
    const next = rootDocument({ version: 2, roles });
    const byOld = signDocument('root', next, [keys.root]);
    expect(codeOf(() => acceptNextRoot(root, byOld))).toBe('TRUST_SIGNATURE');
    const byBoth = signDocument('root', next, [keys.root, keys.stranger]);
    expect(codeOf(() => acceptNextRoot(root, byBoth))).toBe('accepted');
    const skipping = signDocument('root', { ...next, version: 3 }, [keys.root, keys.stranger]);
    expect(codeOf(() => acceptNextRoot(root, skipping))).toBe('TRUST_ROLLBACK');
  });
});

describe('an addendum', () => {
  const root = rootDocument();
  const use = { release: 'a'.repeat(64), object: 'b'.repeat(64), buildId: 'cd'.repeat(20) };
  const document = {
    type: 'addendum' as const,
    ...use,
    btf: { digest: 'e'.repeat(64), bytes: 600 },
    createdAt: '2026-01-01T00:00:00Z',
  };
  const bytes = signDocument('addendum', document, [keys.btf]);
  const accept = (envelope: Buffer, wanted: Parameters<typeof acceptAddendum>[3] = use) =>
    codeOf(() => acceptAddendum(root, digestOf(envelope), envelope, wanted));

  it('is taken by its digest, from a key of the role btf and from no other', () => {
    expect(acceptAddendum(root, digestOf(bytes), bytes, use)).toEqual(document);
    expect(codeOf(() => acceptAddendum(root, 'f'.repeat(64), bytes, use))).toBe('TRUST_DIGEST');
    for (const key of [keys.director, keys.release, keys.root, keys.stranger]) {
      expect(accept(signDocument('addendum', document, [key]))).toBe('TRUST_SIGNATURE');
    }
  });

  it('is for one object of one release on one kernel build, and for no kernel without one', () => {
    const others = [
      { ...use, release: 'f'.repeat(64) },
      { ...use, object: 'f'.repeat(64) },
      { ...use, buildId: 'ce'.repeat(20) },
      { ...use, buildId: null },
    ];
    expect(others.map((other) => accept(bytes, other))).toEqual(others.map(() => 'TRUST_KERNEL'));
    expect(codeOf(() => acceptAddendum(root, digestOf(bytes), bytes))).toBe('accepted');
  });

  it('is refused when any single byte of the envelope is flipped, whatever digest was promised', () => {
    const accepted: number[] = [];
    for (let at = 0; at < bytes.length; at++) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      if (accept(flipped) === 'accepted') accepted.push(at);
    }
    expect(accepted).toEqual([]);
  });

  it('cannot be passed off as another document, nor another as one, and has bounds', () => {
    const asRelease = codeOf(() => acceptRelease(root, digestOf(bytes), bytes));
    expect([asRelease, accept(release('trace_exec', keys.btf))]).toEqual(['TRUST_TYPE', 'TRUST_TYPE']);
    const large = { ...document, btf: { ...document.btf, bytes: 1024 * 1024 + 1 } };
    expect(codeOf(() => signDocument('addendum', large, [keys.btf]))).toBe('TRUST_SCHEMA');
    expect(accept(Buffer.alloc(5000, 0x20))).toBe('TRUST_SIZE');
  });
});

function payloadOf(envelope: Buffer): string {
  const { payload } = JSON.parse(envelope.toString()) as { payload: string };
  return Buffer.from(payload, 'base64').toString();
}
