import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  digestOf,
  generateSigningKey,
  signDocument,
  type DesiredEntry,
  type RootDocument,
  type SigningKey,
} from '@bpfleet/trust';
import * as z from 'zod';
import type { TrustedTime } from '../core/trusted-time.js';
import { DocumentStore } from '../store/documents.js';
import { JsonFile } from '../store/json-file.js';
import { flipByte } from '../testing/fleet-server.js';
import { TrustKeeper } from './trust-keeper.js';

const DEVICE = 'dtrust000001';
const now = { bootId: 'boot', seconds: 10 };

let folder: string;
let documents: DocumentStore;
let rootKey: SigningKey;
let director: SigningKey;
let releaseKey: SigningKey;
let root: Buffer;

function rootDocument(version: number, keys = { rootKey, director, releaseKey }): RootDocument {
  const role = (key: SigningKey) => ({ keyids: [key.keyid], threshold: 1 });
  return {
    type: 'root',
    version,
    keys: Object.values(keys).map(({ keyid, spki }) => ({ keyid, spki })),
    roles: {
      root: role(keys.rootKey),
      director: role(keys.director),
      btf: role(keys.director),
      agent: role(keys.director),
    },
    release: [{ probes: '*', role: role(keys.releaseKey) }],
    caBundle: ['PEM'],
    people: [],
  };
}

function open(): TrustKeeper {
  const schema: z.ZodType<TrustedTime> = z.object({
    realtimeMs: z.number(),
    heardAt: z.object({ bootId: z.string(), seconds: z.number() }),
  });
  return new TrustKeeper(DEVICE, new DocumentStore(folder), new JsonFile(join(folder, 'time.json'), schema));
}

function desired(generation: number, key = director, entries: DesiredEntry[] = []): Buffer {
  return signDocument('desired', { type: 'desired', device: DEVICE, generation, entries }, [key]);
}

function fresh(nonce: string, change: { time?: string; key?: SigningKey } = {}): Buffer {
  const digests = { root: digestOf(root), desired: digestOf(desired(1)), revocation: null };
  const time = change.time ?? '2026-01-01T00:00:00.000Z';
  return signDocument('fresh', { type: 'fresh', device: DEVICE, nonce, time, generation: 1, digests }, [
    change.key ?? director,
  ]);
}

function release(key = releaseKey): Buffer {
  return signDocument(
    'release',
    {
      type: 'release',
      probe: 'trace_exec',
      version: '1.0.0',
      manifest: '',
      objects: [{ arch: 'any', digest: 'b'.repeat(64), bytes: 1 }],
      createdAt: '2026-01-01T00:00:00.000Z',
    },
    [key],
  );
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bpfleet-trust-'));
  documents = new DocumentStore(folder);
  [rootKey, director, releaseKey] = [generateSigningKey(), generateSigningKey(), generateSigningKey()];
  root = signDocument('root', rootDocument(1), [rootKey]);
  documents.saveRoot(root);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('trust keeper', () => {
  it('takes one answer to each question, and no other', () => {
    const keeper = open();
    expect(() => keeper.takeFresh(fresh('0'.repeat(32)), now)).toThrow(/nobody asked/);
    const { nonce } = keeper.question(now);
    expect(() => keeper.takeFresh(fresh('0'.repeat(32)), now)).toThrow(/another nonce/);
    expect(() => keeper.takeFresh(flipByte(fresh(nonce)), now)).toThrow();
    expect(() => keeper.takeFresh(fresh(nonce, { key: releaseKey }), now)).toThrow(/valid signature/);
    expect(keeper.takeFresh(fresh(nonce), now)).toMatchObject({ wantsRoot: false, wantsDesired: true });
    expect(() => keeper.takeFresh(fresh(nonce), now)).toThrow(/nobody asked/);
  });

  it('takes answers that cross, each once, and drops without a word one that a later answer has overtaken', () => {
    const keeper = open();
    const [first, second] = [keeper.question(now).nonce, keeper.question(now).nonce];
    expect(keeper.takeFresh(fresh(first), now)).toMatchObject({ wantsDesired: true });
    expect(keeper.takeFresh(fresh(second), now)).toMatchObject({ wantsDesired: true });
    expect(() => keeper.takeFresh(fresh(first), now)).toThrow(/nobody asked/);
    const [overtaken, newest] = [keeper.question(now).nonce, keeper.question(now).nonce];
    expect(keeper.takeFresh(fresh(newest, { time: '2026-02-01T00:00:00.000Z' }), now)).toBeDefined();
    expect(keeper.takeFresh(fresh(overtaken, { time: '2026-03-01T00:00:00.000Z' }), now)).toBeUndefined();
    expect(keeper.time?.realtimeMs).toBe(Date.parse('2026-02-01T00:00:00.000Z'));
    keeper.question(now);
    for (const replayed of [overtaken, newest])
      expect(() => keeper.takeFresh(fresh(replayed), now)).toThrow(/another nonce: it may be a replay/);
  });

  it('takes no answer to a question that is too old, nor to one of too many', () => {
    const keeper = open();
    const old = keeper.question(now).nonce;
    const later = { ...now, seconds: now.seconds + 301 };
    const young = keeper.question(later).nonce;
    expect(() => keeper.takeFresh(fresh(old), later)).toThrow(/another nonce/);
    expect(keeper.takeFresh(fresh(young), later)).toBeDefined();
    const nonces = Array.from({ length: 5 }, () => keeper.question(later).nonce);
    expect(() => keeper.takeFresh(fresh(nonces[0] as string), later)).toThrow(/another nonce/);
    expect(keeper.takeFresh(fresh(nonces[1] as string), later)).toBeDefined();
  });

  it('keeps trusted time across restarts, and never turns it back', () => {
    const first = open();
    first.takeFresh(fresh(first.question(now).nonce), now);
    const second = open();
    const known = Date.parse('2026-01-01T00:00:00.000Z');
    expect(second.time?.realtimeMs).toBe(known);
    second.takeFresh(fresh(second.question(now).nonce, { time: '1999-01-01T00:00:00.000Z' }), { ...now, seconds: 11 });
    expect(second.time?.realtimeMs).toBe(known + 1_000);
  });

  it('holds the newest desired state across restarts, and refuses what came before', () => {
    const keeper = open();
    expect(keeper.takeDesired(desired(5))).toBe(true);
    expect(keeper.takeDesired(desired(5))).toBe(false);
    const again = open();
    expect(again.desired?.generation).toBe(5);
    expect(() => again.takeDesired(desired(4))).toThrow(expect.objectContaining({ code: 'TRUST_ROLLBACK' }));
    expect(again.refused?.code).toBe('TRUST_ROLLBACK');
    expect(() => again.takeDesired(desired(6, releaseKey))).toThrow(
      expect.objectContaining({ code: 'TRUST_SIGNATURE' }),
    );
    expect(again.desired?.generation).toBe(5);
    expect(again.takeDesired(desired(6))).toBe(true);
    expect(again.refused).toBeUndefined();
  });

  it('falls back to the copy before when the newest was torn or bent on the disk', () => {
    const keeper = open();
    keeper.takeDesired(desired(5));
    keeper.takeDesired(desired(6));
    writeFileSync(join(folder, 'desired.json'), flipByte(desired(6)));
    expect(open().desired?.generation).toBe(5);
  });

  it('gives nothing from the disk that is not what its digest says', () => {
    const keeper = open();
    const bytes = release();
    const digest = digestOf(bytes);
    expect(() => keeper.takeRelease(digest, flipByte(bytes))).toThrow(
      expect.objectContaining({ code: 'TRUST_DIGEST' }),
    );
    expect(keeper.storedRelease(digest)).toBeUndefined();
    keeper.takeRelease(digest, bytes);
    expect(keeper.storedRelease(digest)?.probe).toBe('trace_exec');
    documents.saveRelease(digest, flipByte(bytes));
    expect(keeper.storedRelease(digest)).toBeUndefined();
    documents.saveBlob('c'.repeat(64), Buffer.from('x'));
    expect(keeper.storedBlob('c'.repeat(64), 100)).toBeUndefined();
    const blob = Buffer.from('object');
    keeper.takeBlob(digestOf(blob), blob);
    expect(keeper.storedBlob(digestOf(blob), 100)?.equals(blob)).toBe(true);
    expect(keeper.storedBlob(digestOf(blob), 3)).toBeUndefined();
  });

  it('takes no release that the director alone has signed', () => {
    const bytes = release(director);
    expect(() => open().takeRelease(digestOf(bytes), bytes)).toThrow(
      expect.objectContaining({ code: 'TRUST_SIGNATURE' }),
    );
  });

  it('follows roots one by one, and lets go of what the old keys signed', () => {
    const keeper = open();
    const old = release();
    keeper.takeRelease(digestOf(old), old);
    const next = { rootKey: generateSigningKey(), director: generateSigningKey(), releaseKey: generateSigningKey() };
    expect(() => keeper.takeRoot(signDocument('root', rootDocument(2, next), [next.rootKey]))).toThrow();
    expect(() => keeper.takeRoot(signDocument('root', rootDocument(3, next), [rootKey, next.rootKey]))).toThrow();
    keeper.takeRoot(signDocument('root', rootDocument(2, next), [rootKey, next.rootKey]));
    expect(open().root.version).toBe(2);
    expect(keeper.storedRelease(digestOf(old))).toBeUndefined();
    expect(() => keeper.takeDesired(desired(1))).toThrow(expect.objectContaining({ code: 'TRUST_SIGNATURE' }));
    expect(keeper.takeDesired(desired(1, next.director))).toBe(true);
  });

  it('does not start from a root that its own keys did not sign', () => {
    documents.saveRoot(flipByte(root));
    expect(open).toThrow();
  });
});
