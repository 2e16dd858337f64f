import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mintEnrolmentToken, parseEnrolmentToken, readFileBounded, TrustError, writeFileAtomic } from './index.js';

describe('writeFileAtomic', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'bpfleet-trust-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('replaces the content, keeps the one before, leaves no temporary file, and is private', () => {
    const path = join(folder, 'sub', 'root.json');
    writeFileAtomic(path, Buffer.from('one'));
    writeFileAtomic(path, Buffer.from('two'));
    writeFileAtomic(path, Buffer.from('three'));
    expect(readFileSync(path, 'utf8')).toBe('three');
    expect(readFileSync(`${path}.previous`, 'utf8')).toBe('two');
    expect(readdirSync(join(folder, 'sub')).sort()).toEqual(['root.json', 'root.json.previous']);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('leaves nothing behind when it fails', () => {
    const path = join(folder, 'run.json');
    mkdirSync(path);
    expect(() => writeFileAtomic(path, Buffer.from('one'))).toThrow();
    expect(readdirSync(folder)).toEqual(['run.json']);
  });

  it('reads back undefined for what is not there and refuses what is too large', () => {
    const path = join(folder, 'blob');
    expect(readFileBounded(path, 10)).toBeUndefined();
    writeFileAtomic(path, Buffer.alloc(11));
    expect(() => readFileBounded(path, 10)).toThrow(TrustError);
  });
});

describe('enrolment tokens', () => {
  it('carry the digest of root and survive being pasted with spaces around', () => {
    const token = mintEnrolmentToken('a'.repeat(64));
    expect(parseEnrolmentToken(` ${token.text}\n`)).toEqual({
      id: token.id,
      secret: token.secret,
      rootDigest: 'a'.repeat(64),
    });
  });

  it('say what they should look like when they are not one', () => {
    expect(() => parseEnrolmentToken('hunter2')).toThrow(/bpf1\.<id>\.<secret>\.<digest>/);
  });
});
