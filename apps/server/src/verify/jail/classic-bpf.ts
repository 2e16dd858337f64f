/** Architectures whose system calls the filters know by number. */
export type SeccompArch = 'x86_64' | 'arm64';

// linux/audit.h: the kernel reports the calling convention, so that a number cannot be read in another one's table.
const AUDIT_ARCH: Record<SeccompArch, number> = { x86_64: 0xc000003e, arm64: 0xc00000b7 };

// linux/bpf_common.h, linux/seccomp.h and offsets in struct seccomp_data
const CODES = { load: 0x20, equal: 0x15, atLeast: 0x35, anyBit: 0x45, return: 0x06 } as const;
const OFFSETS = { number: 0, arch: 4, argument0: 16 } as const;
const JUMP_MAX = 255;

export const VERDICTS = {
  allow: 0x7fff0000,
  kill: 0x80000000,
  EPERM: 0x00050000 | 1,
  ENOSYS: 0x00050000 | 38,
} as const;

/** One step of a filter. A step with a label can be jumped to, only forwards; a test that fails goes on with the next step. */
export type FilterStep = { label?: string } & (
  | { load: keyof typeof OFFSETS }
  | { test: 'equal' | 'atLeast' | 'anyBit'; value: number; then: string }
  | { verdict: keyof typeof VERDICTS }
);

function instruction(code: number, jumpTrue: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(jumpTrue, 2);
  bytes.writeUInt32LE(value >>> 0, 4);
  return bytes;
}

function assembleStep(step: FilterStep, index: number, steps: readonly FilterStep[]): Buffer {
  if ('load' in step) return instruction(CODES.load, 0, OFFSETS[step.load]);
  if ('verdict' in step) return instruction(CODES.return, 0, VERDICTS[step.verdict]);
  const distance = steps.findIndex(({ label }) => label === step.then) - index - 1;
  if (distance < 0 || distance > JUMP_MAX) throw new RangeError(`no jump from step ${index} to ${step.then}`);
  return instruction(CODES[step.test], distance, step.value);
}

/**
 * A classic BPF program, as `bwrap --seccomp` takes it. It kills what calls by another architecture's convention, and
 * begins `steps` with the number of the system call loaded.
 */
export function assembleFilter(arch: SeccompArch, steps: readonly FilterStep[]): Buffer {
  const whole: FilterStep[] = [
    { load: 'arch' },
    { test: 'equal', value: AUDIT_ARCH[arch], then: 'convention is known' },
    { verdict: 'kill' },
    { label: 'convention is known', load: 'number' },
    ...steps,
  ];
  return Buffer.concat(whole.map((step, index) => assembleStep(step, index, whole)));
}

/** The filters' name for this machine, or undefined when there are none for it. */
export function hostSeccompArch(nodeArch: string = process.arch): SeccompArch | undefined {
  if (nodeArch === 'x64') return 'x86_64';
  return nodeArch === 'arm64' ? 'arm64' : undefined;
}
