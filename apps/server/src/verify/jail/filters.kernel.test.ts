import { describe, expect, it } from '@jest/globals';
import { compileFilter, allowedSyscalls } from '../compile/compile-filter.js';
import { proveFilter } from '../prove/prove-filter.js';
import { describeWithJail } from '../testing/describe-with-jail.js';
import { assembleFilter, hostSeccompArch } from './classic-bpf.js';
import type { SeccompArch } from './classic-bpf.js';
import { withFilter } from './filter-file.js';
import { findTool, roBindArguments, sharedLibraries } from './host-tools.js';
import { runInJail } from './run.js';

const EPERM = 'errno 1';
const NUMBERS = {
  x86_64: { getuid: 102, getppid: 110, bpf: 321, unshare: 272, clone3: 435, socket: 41 },
  arm64: { getuid: 174, getppid: 173, bpf: 280, unshare: 97, clone3: 435, socket: 198 },
};
const BPF_PROG_LOAD = 5;
const BPF_RAW_TRACEPOINT_OPEN = 17;
const BPF_LINK_CREATE = 28;

describe('compileFilter', () => {
  it.each(['x86_64', 'arm64'] as const)('allows nothing on %s that reaches beyond files and memory', (arch) => {
    const allowed = allowedSyscalls(arch);
    const forbidden =
      arch === 'x86_64'
        ? { clone: 56, fork: 57, vfork: 58, ptrace: 101, mount: 165, io_uring_setup: 425 }
        : { clone: 220, ptrace: 117, mount: 40, io_uring_setup: 425 };
    for (const number of Object.values(forbidden)) expect(allowed).not.toContain(number);
    const { bpf, clone3, socket } = NUMBERS[arch];
    for (const number of [bpf, clone3, socket]) expect(allowed).not.toContain(number);
    expect(new Set(allowed).size).toBe(allowed.length);
  });
});

describe('assembleFilter', () => {
  it('refuses a jump to nowhere', () => {
    expect(() => assembleFilter('x86_64', [{ test: 'equal', value: 1, then: 'nowhere' }])).toThrow(RangeError);
  });
});

describeWithJail('filters on this kernel', [], () => {
  const numbers = NUMBERS[hostSeccompArch() ?? 'x86_64'];

  // Perl can make any system call by number, and needs nothing else to say how it ended.
  async function callUnder(filter: (arch: SeccompArch) => Buffer, number: number, argument = 0): Promise<string> {
    const perl = await findTool('perl', 'perl-base');
    const binds = roBindArguments([{ host: perl, jail: perl }, ...(await sharedLibraries(perl))]);
    const script = `my $r = syscall(${number}, ${argument}, 0, 0); print $r == -1 ? "errno " . ($!+0) : "ok"`;
    const result = await withFilter(filter, (seccompFd) =>
      runInJail({
        bwrap: ['--unshare-pid', '--unshare-net', ...binds],
        command: [perl, '-'],
        stdin: Buffer.from(script),
        limits: { timeoutMs: 60_000, outputBytesMax: 4096, cpuSecondsMax: 5, openFilesMax: 32 },
        seccompFd,
      }),
    );
    return result.stdout.toString() || result.stderr.toString();
  }

  it('let the compiler read, and refuse what it does not need', async () => {
    await expect(callUnder(compileFilter, numbers.getuid)).resolves.toBe('ok');
    // getppid never fails by itself, so its EPERM is the filter's.
    await expect(callUnder(compileFilter, numbers.getppid)).resolves.toBe(EPERM);
    await expect(callUnder(compileFilter, numbers.bpf, BPF_PROG_LOAD)).resolves.toBe(EPERM);
  });

  it('let the verifier load, and refuse to attach', async () => {
    await expect(callUnder(proveFilter, numbers.getppid)).resolves.toBe('ok');
    // Without attributes the kernel answers EINVAL or EFAULT: the call has arrived.
    await expect(callUnder(proveFilter, numbers.bpf, BPF_PROG_LOAD)).resolves.not.toBe(EPERM);
    await expect(callUnder(proveFilter, numbers.bpf, BPF_RAW_TRACEPOINT_OPEN)).resolves.toBe(EPERM);
    await expect(callUnder(proveFilter, numbers.bpf, BPF_LINK_CREATE)).resolves.toBe(EPERM);
  });

  it('let the verifier make no namespace and no connection', async () => {
    const newUserNamespace = 0x10000000;
    await expect(callUnder(proveFilter, numbers.unshare, newUserNamespace)).resolves.toBe(EPERM);
    await expect(callUnder(proveFilter, numbers.socket, 1)).resolves.toBe(EPERM);
    await expect(callUnder(proveFilter, numbers.clone3)).resolves.toBe('errno 38');
  });
});
