import { describe, expect, it } from '@jest/globals';
import { errnoName, LibbpfError, libbpfVersion, openObject, possibleCpus } from './index.js';

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof LibbpfError) return error.code;
    throw error;
  }
  return 'no error';
}

describe('openObject on what is not a BPF object', () => {
  it('says in words what is wrong', () => {
    expect(() => openObject(Buffer.from('int main;'))).toThrow('not an ELF file');
    const hostElf = Buffer.alloc(128);
    Buffer.from('7f454c4602010100', 'hex').copy(hostElf);
    hostElf.writeUInt16LE(62, 18);
    expect(() => openObject(hostElf)).toThrow('not for BPF (machine 62)');
  });

  it('passes on what libbpf says about a BPF ELF header with nothing behind it', () => {
    const header = Buffer.alloc(64);
    Buffer.from('7f454c4602010100', 'hex').copy(header);
    header.writeUInt16LE(1, 16);
    header.writeUInt16LE(247, 18);
    expect(codeOf(() => openObject(header))).toBe('BPF_OPEN');
  });

  it('reports a missing file with its errno', () => {
    try {
      openObject('/does/not/exist.bpf.o');
      throw new Error('opened');
    } catch (error) {
      expect(error).toMatchObject({ code: 'BPF_OPEN', errnoName: 'ENOENT' });
    }
  });

  it('refuses wrong arguments before anything native runs', () => {
    expect(codeOf(() => openObject(42 as unknown as string))).toBe('BPF_ARGUMENT');
    expect(codeOf(() => openObject('a\0b'))).toBe('BPF_ARGUMENT');
    expect(codeOf(() => openObject(Buffer.alloc(64), { logBytesMax: -1 }))).toBe('BPF_ARGUMENT');
    expect(codeOf(() => openObject(Buffer.alloc(64), { verifierLogLevel: 3 as unknown as 0 }))).toBe('BPF_ARGUMENT');
    expect(codeOf(() => openObject(Buffer.alloc(64), { name: '' }))).toBe('BPF_ARGUMENT');
  });
});

describe('facts that need no privilege', () => {
  it('names errnos, also those that only BPF uses', () => {
    expect([1, 95, 11, 524, 4001, 9999].map(errnoName)).toEqual([
      'EPERM',
      'EOPNOTSUPP',
      'EAGAIN',
      'ENOTSUPP',
      'LIBBPF_FORMAT',
      'errno_9999',
    ]);
  });

  it('knows its libbpf and the machine', () => {
    expect(libbpfVersion()).toMatch(/^v\d+\.\d+/);
    expect(possibleCpus()).toBeGreaterThan(0);
  });
});
