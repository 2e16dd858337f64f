import { beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import type { DesiredEntry, ReleaseDocument } from '@bpfleet/trust';
import { AgentError } from '../agent-error.js';
import { compileBpf } from '../testing/compile.js';
import { planRelease } from './release-plan.js';

const MIB = 1024 ** 2;
const source = `
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 4 << 20); } ring SEC(".maps");
SEC("raw_tp/x") int p(void *ctx) { bpf_ringbuf_output(&ring, &ctx, 8, 0); return 0; }
char LICENSE[] SEC("license") = "GPL";
`;
const machine = { cpus: 1, pageBytes: 4096, memoryBytes: 1024 * MIB, kernelArch: 'arm64', userBits: 64 };
const release = { manifest: 'name: big\nversion: 1.0.0\nsummary: a ring of 4 MiB\n' } as ReleaseDocument;

describeWithKernel('the plan of a run', ['clang'], () => {
  let object: Buffer;
  beforeAll(() => {
    object = compileBpf(source);
  });

  function codeOf(budgetBytes: number, memoryBytes: number): string {
    const entry = { params: {}, budget: { mapBytes: budgetBytes } } as DesiredEntry;
    try {
      planRelease(release, object, entry, { ...machine, memoryBytes });
      return 'planned';
    } catch (error) {
      if (error instanceof AgentError) return error.code;
      throw error;
    }
  }

  it('keeps the maps inside the budget, and inside of what the machine has for one probe', () => {
    expect(codeOf(5 * MIB, 128 * MIB)).toBe('planned');
    expect(codeOf(4 * MIB, 128 * MIB)).toBe('BUDGET_MAP_BYTES');
    expect(codeOf(5 * MIB, 64 * MIB)).toBe('DEVICE_MEMORY');
  });

  it('says it where the size of the pages is why maps that fit elsewhere do not fit here', () => {
    const entry = { params: {}, budget: { mapBytes: 4.2 * MIB } } as DesiredEntry;
    expect(() => planRelease(release, object, entry, machine)).not.toThrow();
    expect(() => planRelease(release, object, entry, { ...machine, pageBytes: 65_536 })).toThrow(
      expect.objectContaining({ code: 'BUDGET_MAP_BYTES', message: expect.stringContaining('pages are 65536 bytes') }),
    );
  });

  it('refuses what would attach and see nothing', () => {
    const uprobe = compileBpf(source.replace('raw_tp/x', 'uprobe/libc.so.6:malloc'));
    const entry = { params: {}, budget: { mapBytes: 8 * MIB } } as DesiredEntry;
    expect(() => planRelease(release, uprobe, entry, machine)).not.toThrow();
    expect(() => planRelease(release, uprobe, entry, { ...machine, userBits: 32 })).toThrow(
      expect.objectContaining({ code: 'BLIND_SPOT', message: expect.stringContaining('would see nothing') }),
    );
  });
});
