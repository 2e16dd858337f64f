import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { describeWithJail } from '../testing/describe-with-jail.js';
import { findTool, roBindArguments, sharedLibraries } from './host-tools.js';
import { runInJail } from './run.js';
import { allowedSyscalls, hostSeccompArch, seccompFilter } from './seccomp.js';

// getppid never fails by itself, so its EPERM is the filter's.
const NUMBERS = { x86_64: { getuid: 102, getppid: 110, bpf: 321 }, arm64: { getuid: 174, getppid: 173, bpf: 280 } };

describe('seccompFilter', () => {
  it.each(['x86_64', 'arm64'] as const)('allows nothing on %s that reaches beyond files and memory', (arch) => {
    const allowed = allowedSyscalls(arch);
    const forbidden =
      arch === 'x86_64'
        ? {
            socket: 41,
            clone: 56,
            fork: 57,
            vfork: 58,
            ptrace: 101,
            mount: 165,
            bpf: 321,
            clone3: 435,
            io_uring_setup: 425,
          }
        : { socket: 198, clone: 220, ptrace: 117, mount: 40, bpf: 280, clone3: 435, io_uring_setup: 425 };
    for (const number of Object.values(forbidden)) expect(allowed).not.toContain(number);
    expect(new Set(allowed).size).toBe(allowed.length);
  });

  it('is whole instructions that end in a verdict', () => {
    const filter = seccompFilter('x86_64');
    expect(filter.length % 8).toBe(0);
    expect(filter.readUInt32LE(filter.length - 4)).toBe(0x7fff0000);
  });

  describeWithJail('on this kernel', [], () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'bpfleet-seccomp-'));
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    // Perl can make any system call by number, and needs nothing else to say how it ended.
    async function callInJail(number: number): Promise<string> {
      const arch = hostSeccompArch();
      if (!arch) throw new Error('no filter for this machine');
      const perl = await findTool('perl', 'perl-base');
      const file = path.join(folder, 'filter');
      await writeFile(file, seccompFilter(arch));
      const filter = await open(file, 'r');
      try {
        const result = await runInJail({
          bwrap: [
            ...['--unshare-pid', '--unshare-net', '--cap-drop', 'ALL'],
            ...roBindArguments([{ host: perl, jail: perl }, ...(await sharedLibraries(perl))]),
          ],
          command: [perl, '-'],
          stdin: Buffer.from(`my $r = syscall(${number}, 0, 0, 0); print $r == -1 ? "errno " . ($!+0) : "ok"`),
          limits: { timeoutMs: 10_000, outputBytesMax: 4096, cpuSecondsMax: 5, openFilesMax: 32 },
          seccompFd: filter.fd,
        });
        return result.stdout.toString() || result.stderr.toString();
      } finally {
        await filter.close();
      }
    }

    it('lets getuid pass and refuses getppid and bpf(2) with EPERM', async () => {
      const numbers = NUMBERS[hostSeccompArch() ?? 'x86_64'];
      await expect(callInJail(numbers.getuid)).resolves.toBe('ok');
      await expect(callInJail(numbers.getppid)).resolves.toBe('errno 1');
      await expect(callInJail(numbers.bpf)).resolves.toBe('errno 1');
    });
  });
});
