import { beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { FOREIGN_KERNELS, kernelBtf } from '../../test/kernels.js';
import { compileProbes, PROBE_NAMES } from '../../test/probes.js';
import { readObject } from '../object/object.js';
import type { BpfObjectFile } from '../object/types.js';
import { parseBtf } from '../types/parse.js';
import { patchInstructions } from './patch.js';
import { findLongReads, findReadMismatches } from './read-sizes.js';
import { resolveCoreRelocations } from './resolve.js';

describeWithKernel('the probes that come with bpfleet', ['clang'], () => {
  const objects = new Map<string, BpfObjectFile>();
  beforeAll(() => {
    const header = parseBtf(kernelBtf('arm64-6.12')).printHeader({ preserveAccessIndex: true });
    for (const [name, bytes] of compileProbes(header)) objects.set(name, readObject(bytes));
  });

  it('are all here', () => expect([...objects.keys()]).toEqual(PROBE_NAMES));

  it.each(FOREIGN_KERNELS)('find what they read in %s, and read as much as is there', (kernel) => {
    const target = parseBtf(kernelBtf(kernel));
    for (const [name, object] of objects) {
      const resolution = resolveCoreRelocations(object, target);
      const { programs, refusals } = patchInstructions(object, resolution);
      expect([name, refusals.map(({ reason }) => reason)]).toEqual([name, []]);
      expect([name, programs.filter(({ reachablePoison }) => reachablePoison.length > 0)]).toEqual([name, []]);
      expect([name, findReadMismatches(object, resolution).map(({ reason }) => reason)]).toEqual([name, []]);
    }
  });

  it.each(PROBE_NAMES)('%s reads no pointer and no long that a kernel of 32 bits has in another size', (name) => {
    expect(findLongReads(objects.get(name) as BpfObjectFile).map(({ reason }) => reason)).toEqual([]);
  });
});
