import { describe, expect, it } from '@jest/globals';
import {
  labArchSchema,
  labPageBytesSchema,
  labSuiteSchema,
  type LabArch,
  type LabPageBytes,
  type LabSuite,
} from '@bpfleet/api';
import { VM_TARGETS } from '@bpfleet/vm';
import { archOfTarget, suiteOf, targetOf, userLandOf, userLandTarget } from './lab-target.js';

const arches = labArchSchema.options;

interface Asked {
  readonly suite: LabSuite;
  readonly arch: LabArch;
  readonly userLand: LabArch;
  readonly pageBytes: LabPageBytes;
}

/** What `make` gives for all that can be asked for, without what it refuses. */
function all(make: (asked: Asked) => string): string[] {
  const asked = labSuiteSchema.options.flatMap((suite) =>
    arches.flatMap((arch) =>
      arches.flatMap((userLand) =>
        [...labPageBytesSchema.values].map((pageBytes) => ({ suite, arch, userLand, pageBytes })),
      ),
    ),
  );
  return asked.flatMap((one) => {
    try {
      return [make(one)];
    } catch {
      return [];
    }
  });
}

describe('the targets of the lab', () => {
  it('are all that a VM can boot, each by its suite, and told back as they were asked for', () => {
    expect(all(targetOf).sort()).toEqual([...VM_TARGETS].sort());
    expect([
      suiteOf('arm64-6.1-compat32'),
      archOfTarget('arm64-6.1-compat32'),
      userLandOf('arm64-6.1-compat32'),
    ]).toEqual(['bookworm', 'arm64', 'armv7']);
  });

  it('give a kernel of somebody’s own its user land, where it can run it', () => {
    const lands = all(({ arch, userLand }) => userLandTarget(arch, userLand));
    expect([...new Set(lands)].sort()).toEqual(['arm64-6.1', 'arm64-6.1-compat32', 'armv7-6.1']);
    expect(() => userLandTarget('armv7', 'arm64')).toThrow(/armv7 kernel cannot run arm64/);
  });

  it('say what there is when a suite has none', () => {
    const asked = { suite: 'trixie', arch: 'armv7', userLand: 'armv7', pageBytes: 4096 } as const;
    expect(() => targetOf(asked)).toThrow(/no kernel of trixie armv7; there are .*bookworm armv7/);
    expect(() => targetOf({ ...asked, pageBytes: 16_384 })).toThrow(
      /no kernel of trixie armv7 with pages of 16 KiB; there are .*trixie arm64 with pages of 16 KiB/,
    );
  });
});
