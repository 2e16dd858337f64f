import { describe, expect, it } from '@jest/globals';
import { attachTypes, type AttachTypeFacts } from '@bpfleet/node-libbpf';
import { attachNeeds, mayLackTrampolines } from './attach-needs.js';

/** What decides these is asked in another way: whether the kernel shows BTF, or which of two ways a program is attached. */
const ELSEWHERE = ['tp_btf', 'struct_ops_link'];

describe('attachNeeds', () => {
  const types: readonly AttachTypeFacts[] = attachTypes;
  const asked = types.filter(({ name, feature }) => feature !== undefined && !ELSEWHERE.includes(name));

  it.each(asked.map(({ section, feature = '' }) => [section, feature] as const))(
    '%s needs %s, as the loader has it',
    (section, feature) => {
      expect(attachNeeds(section).features).toContain(feature);
    },
  );

  it('knows which hooks are trampolines', () => {
    const patched = types.filter(({ config }) => config.includes('DYNAMIC_FTRACE_WITH_DIRECT_CALLS'));
    expect(patched.length).toBeGreaterThan(4);
    for (const { name, section } of types) {
      expect([name, attachNeeds(section).trampoline]).toEqual([name, patched.some((type) => type.name === name)]);
    }
  });

  it('needs nothing for what it does not know, whatever its name', () => {
    for (const section of ['', 'strange/x', 'constructor', '__proto__', 'tp_btf/sys_enter']) {
      expect(attachNeeds(section)).toEqual({ features: [], trampoline: false });
    }
  });
});

describe('mayLackTrampolines', () => {
  it.each([
    ['arm', '6.12.1', true],
    ['arm64', '6.1.0-50-arm64', true],
    ['arm64', '6.4.0', false],
    ['arm64', '6.12.73', false],
    ['arm64', 'custom', true],
    ['x86_64', '5.10.0', false],
  ])('on %s %s: %s', (arch, release, expected) => {
    expect(mayLackTrampolines(arch, release)).toBe(expected);
  });
});
