import { appendFileSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { capLogFile } from './log-file.js';

it('empties a log that grew too large under the process that still writes it, and keeps the old part', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bpfleet-log-'));
  const file = join(folder, 'x.log');
  const writer = openSync(file, 'a');
  try {
    appendFileSync(file, 'old '.repeat(10));
    capLogFile(file, 100);
    expect(readFileSync(file, 'utf8')).toHaveLength(40);
    capLogFile(file, 10);
    writeSync(writer, 'new');
    expect(readFileSync(file, 'utf8')).toBe('new');
    expect(readFileSync(`${file}.1`, 'utf8')).toBe('old '.repeat(10));
  } finally {
    closeSync(writer);
    rmSync(folder, { recursive: true, force: true });
  }
});
