import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from '@jest/globals';
import { LibbpfError } from './errors.js';
import { attachToFile } from './probe-target.js';

const folder = mkdtempSync(join(tmpdir(), 'node-libbpf-target-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** The beginning of an ELF file for a processor. */
function program(name: string, machine: number): string {
  const header = Buffer.alloc(20);
  header.write('\x7fELF', 'latin1');
  header.writeUInt16LE(machine, 18);
  writeFileSync(join(folder, name), header);
  return join(folder, name);
}
const arm = program('arm', 40);
const arm64 = program('arm64', 183);

const EINVAL = 22;
const refuse = () => {
  throw new LibbpfError('BPF_ATTACH', 'attach', EINVAL);
};

it('refuses a 32-bit program on an ARM64 kernel, which would never see it, and nothing else', () => {
  const attach = (path: string, kernel: string) => attachToFile('attach', path, () => 'attached', kernel);
  expect(() => attach(arm, 'aarch64')).toThrow(
    expect.objectContaining({ code: 'BPF_UNSUPPORTED', message: expect.stringContaining('32-bit program') }),
  );
  expect(attach(arm64, 'aarch64')).toBe('attached');
  expect(attach(arm, 'armv7l')).toBe('attached');
  // libbpf looks for it where the loader would.
  expect(attach('libc.so.6', 'aarch64')).toBe('attached');
});

it('calls EINVAL for an ARM program Thumb code, and for any other what it is', () => {
  expect(() => attachToFile('attach', arm, refuse, 'armv7l')).toThrow(
    expect.objectContaining({ code: 'BPF_UNSUPPORTED', message: expect.stringContaining('Thumb') }),
  );
  expect(() => attachToFile('attach', arm64, refuse, 'aarch64')).toThrow(
    expect.objectContaining({ code: 'BPF_ATTACH', errnoName: 'EINVAL' }),
  );
});
