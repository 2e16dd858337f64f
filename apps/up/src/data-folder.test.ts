import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { makePassword, openDataFolder } from './data-folder.js';

describe('openDataFolder', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'bpfleet-up-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('makes a private first-use password once and keeps it', () => {
    const first = openDataFolder(folder);
    expect(first.password).toMatch(/^([a-z2-9]{5}-){3}[a-z2-9]{5}$/);
    expect(statSync(first.passwordFile).mode & 0o777).toBe(0o600);
    first.release();
    const second = openDataFolder(folder);
    expect(second.password).toBe(first.password);
    second.release();
    expect(existsSync(folder)).toBe(true);
  });

  it('lets nobody else into keys, agent state and logs, and PostgreSQL through to its own part', () => {
    const data = openDataFolder(folder);
    for (const part of [data.server, data.agent, data.log]) expect(statSync(part).mode & 0o777).toBe(0o700);
    expect(statSync(folder).mode & 0o777).toBe(0o711);
    data.release();
  });

  it('refuses a folder that a living process holds, and takes over from a dead one', () => {
    const held = openDataFolder(folder);
    expect(() => openDataFolder(folder)).toThrow(`bpfleet is already running on ${folder} (process ${process.pid})`);
    held.release();
    // The number lives, but as another process than the one that took the lock: it was started at another time.
    writeFileSync(join(folder, 'lock'), `${process.pid} 1`);
    openDataFolder(folder).release();
  });

  it('removes a throw-away folder', () => {
    const data = openDataFolder(undefined);
    expect(readFileSync(data.passwordFile, 'utf8').trim()).toBe(data.password);
    data.release();
    expect(existsSync(data.root)).toBe(false);
  });

  it('says in one sentence that a folder cannot be made', () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    expect(() => openDataFolder(join(file, 'data'))).toThrow(
      /cannot be made or written \(ENOTDIR\); choose another with --data\.$/,
    );
    expect(() => openDataFolder(file)).toThrow(/\(EEXIST\)/);
    expect(statSync(file).mode & 0o777).not.toBe(0o711);
  });

  it('says so too where no folder can ever be made, and does not try for ever', () => {
    expect(() => openDataFolder('/proc/bpfleet/data')).toThrow(/cannot be made or written \(ENOENT\)/);
  });
});

it('makes passwords of 20 characters whatever the bytes', () => {
  expect(makePassword(Buffer.alloc(20, 0xff))).toMatch(/^([a-z2-9]{5}-){3}[a-z2-9]{5}$/);
  expect(makePassword(Buffer.alloc(20))).toBe('aaaaa-aaaaa-aaaaa-aaaaa');
});
