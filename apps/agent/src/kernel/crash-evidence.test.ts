import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { crashEvidence } from './crash-evidence.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bpfleet-crash-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(path: string, text: string, seconds = 1_000): void {
  mkdirSync(join(root, path, '..'), { recursive: true });
  writeFileSync(join(root, path), text);
  utimesSync(join(root, path), seconds, seconds);
}

describe('evidence of a crash', () => {
  it('is none where a device has neither a watchdog nor a store for dumps', () => {
    const evidence = crashEvidence(root);
    expect([evidence.dumps(), evidence.resetByWatchdog()]).toEqual([[], false]);
  });

  it('is what any watchdog says of the last reset, in one bit of its status', () => {
    put('sys/class/watchdog/watchdog0/bootstatus', '0\n');
    put('sys/class/watchdog/watchdog1/bootstatus', `${0x8000 + 0x01}\n`);
    expect(crashEvidence(root).resetByWatchdog()).toBe(false);
    put('sys/class/watchdog/watchdog1/bootstatus', '32\n');
    expect(crashEvidence(root).resetByWatchdog()).toBe(true);
  });

  it('is a dump that was not there before, also where it took the name of another', () => {
    put('sys/fs/pstore/console-ramoops-0', 'what the console said');
    put('sys/fs/pstore/dmesg-ramoops-0', 'Panic#1 Part1');
    put('var/lib/systemd/pstore/1700000000/dmesg.txt', 'Oops#1');
    const before = crashEvidence(root).dumps();
    expect(before).toHaveLength(2);
    expect(crashEvidence(root).dumps()).toEqual(before);
    put('sys/fs/pstore/dmesg-ramoops-0', 'Panic#2 Part1', 2_000);
    expect(
      crashEvidence(root)
        .dumps()
        .filter((dump) => !before.includes(dump)),
    ).toHaveLength(1);
  });
});
