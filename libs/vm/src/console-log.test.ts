import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ConsoleLog } from './console-log.js';

describe('ConsoleLog', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'bpfleet-console-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('keeps everything in its file and the last lines at hand, without escape sequences', async () => {
    const log = new ConsoleLog(join(folder, 'console.log'));
    for (let line = 0; line < 100; line += 1) log.write(Buffer.from(`\x1b[31mline ${line}\x1b[0m\r\n`));
    log.write(Buffer.from('half a li'));
    expect(log.tail()).toHaveLength(41);
    expect(log.tail().slice(-2)).toEqual(['line 99', 'half a li']);
    await log.close();
    expect(readFileSync(log.path, 'utf8')).toContain('line 0');
  });

  it('knows a panic that comes in two pieces, until it is told to forget it', async () => {
    const log = new ConsoleLog(join(folder, 'console.log'));
    log.write(Buffer.from('[ 1.0] Kernel panic - not syn'));
    expect(log.panic).toBeUndefined();
    log.write(Buffer.from('cing: sysrq triggered crash\n'));
    expect(log.panic).toBe('sysrq triggered crash');
    log.forgetPanic();
    expect(log.panic).toBeUndefined();
    await log.close();
  });
});
