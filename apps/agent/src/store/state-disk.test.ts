import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FaultyPort } from '../testing/faulty-port.js';
import { Counter } from './counter.js';
import { StateDisk } from './state-disk.js';

let folder: string;
let nowMs: number;
let port: FaultyPort;
let disk: StateDisk;
let lines: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bpfleet-disk-'));
  mkdirSync(folder, { recursive: true });
  nowMs = 0;
  lines = [];
  port = new FaultyPort();
  disk = new StateDisk({
    folder,
    monotonicMs: () => nowMs,
    random: () => 0.5,
    log: (level, event, facts) => lines.push(`${level} ${event} ${facts?.['code'] ?? ''}`.trim()),
    port,
  });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = (name: string): string => join(folder, name);
const bytes = (text: string): Buffer => Buffer.from(text);

/** An hour of a disk that refuses, a second at a time. */
function anHour(): void {
  for (const end = nowMs + 3_600_000; nowMs < end; nowMs += 1_000) disk.tick();
}

describe('state disk', () => {
  it.each(['ENOSPC', 'EIO', 'EROFS'])(
    'keeps the newest of each file through %s, and writes it when that is over',
    (code) => {
      port.fault = code;
      disk.writeSoon(at('a'), bytes('1'));
      disk.writeSoon(at('a'), bytes('2'));
      disk.writeSoon(at('b'), bytes('3'));
      anHour();
      expect(disk.writable).toBe(false);
      port.fault = undefined;
      let told = 0;
      disk.onWritable = () => (told += 1);
      anHour();
      expect([disk.writable, told]).toEqual([true, 1]);
      expect([readFileSync(at('a'), 'utf8'), readFileSync(at('b'), 'utf8')]).toEqual(['2', '3']);
      expect(lines).toEqual([`error state.unwritable ${code}`, 'info state.writable']);
    },
  );

  it('asks later and later, and at least once in two minutes', () => {
    port.fault = 'ENOSPC';
    disk.writeSoon(at('a'), bytes('1'));
    anHour();
    expect(port.attempts).toBeLessThan(200);
    expect(port.attempts).toBeGreaterThan(30);
  });

  it('fails what must be on the disk first, with a code of its own', () => {
    port.fault = 'ENOSPC';
    expect(() => disk.write(at('a'), bytes('1'))).toThrow(
      expect.objectContaining({ code: 'STATE_UNWRITABLE', facts: { errno: 'ENOSPC' } }),
    );
    port.fault = undefined;
    disk.write(at('a'), bytes('1'));
    expect(readFileSync(at('a'), 'utf8')).toBe('1');
  });

  it('does not bring back what a later write has replaced', () => {
    port.fault = 'EIO';
    disk.writeSoon(at('a'), bytes('old'));
    port.fault = undefined;
    disk.write(at('a'), bytes('new'));
    anHour();
    expect(readFileSync(at('a'), 'utf8')).toBe('new');
  });

  it('is not well again while there is room for small files alone', () => {
    port.bytesMax = 100;
    expect(() => disk.write(at('blob'), Buffer.alloc(1_000))).toThrow();
    disk.writeSoon(at('a'), bytes('1'));
    anHour();
    expect([disk.writable, lines.length]).toEqual([false, 1]);
    expect(readFileSync(at('a'), 'utf8')).toBe('1');
    port.bytesMax = Infinity;
    anHour();
    expect(disk.writable).toBe(true);
  });

  it('removes late what it cannot remove now', () => {
    writeFileSync(at('a'), '');
    port.fault = 'EROFS';
    disk.remove(at('a'));
    port.fault = undefined;
    anHour();
    expect(() => readFileSync(at('a'))).toThrow(/ENOENT/);
  });
});

describe('counter on a bad disk', () => {
  it('goes on where it is when there is no room for another file', () => {
    new Counter(at('c')).next();
    port.fault = 'ENOSPC';
    expect([new Counter(at('c'), disk).next(), new Counter(at('c'), disk).next()]).toEqual([2, 3]);
    expect(new Counter(at('c')).value).toBe(3);
  });

  it('overwrites what a shorter writer has left', () => {
    writeFileSync(at('c'), '{"value":41}');
    port.fault = 'ENOSPC';
    expect(new Counter(at('c'), disk).next()).toBe(42);
  });

  it('hands out no number that is not on the disk, and none twice', () => {
    const counter = new Counter(at('c'), disk);
    expect(counter.next()).toBe(1);
    port.fault = 'EROFS';
    expect(() => counter.next()).toThrow(expect.objectContaining({ code: 'STATE_UNWRITABLE' }));
    port.fault = undefined;
    expect(counter.next()).toBe(2);
  });
});
