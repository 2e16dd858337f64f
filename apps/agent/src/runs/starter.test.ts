import { expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { compileBpf } from '../testing/compile.js';
import type { RunSlot } from './run-slot.js';
import { Starter, type StarterOptions } from './starter.js';

/** Whoever touches one of these has gone further than it should. */
function untouchable(): never {
  throw new Error('nothing may be fetched, written or loaded');
}
const nothing = new Proxy({}, { get: untouchable });

function starterOn(kernelRelease: string): Starter {
  const facts = { kernelRelease } as StarterOptions['facts'];
  const options = { trust: nothing, fetcher: nothing, kernel: nothing, move: untouchable, facts };
  return new Starter(options as unknown as StarterOptions);
}
const slot = { abort: new AbortController(), run: 'raaaaaaaa' } as RunSlot;
const entry = { release: 'a'.repeat(64) } as Parameters<Starter['start']>[1];

it('refuses a kernel that no test runs on before anything is fetched', async () => {
  await expect(starterOn('4.19.0-21-armmp').start(slot, entry)).rejects.toMatchObject({
    code: 'KERNEL_TOO_OLD',
    message: 'this device runs Linux 4.19.0-21-armmp, and probes are tested from 5.10 on: move it to a newer kernel',
  });
});

it.each(['5.10.0-32-arm64', '6.18.1', 'our own'])('lets %s go on', async (release) => {
  await expect(starterOn(release).start(slot, entry)).rejects.toThrow('nothing may be fetched');
});

describeWithKernel('a run that is to start beside others', ['clang'], () => {
  it('is loaded only where its maps have room among theirs', async () => {
    const object = compileBpf(`
      #include <linux/bpf.h>
      #include <bpf/bpf_helpers.h>
      struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 1 << 20); } ring SEC(".maps");
      SEC("raw_tp/x") int p(void *ctx) { bpf_ringbuf_output(&ring, &ctx, 8, 0); return 0; }`);
    const manifest = 'name: ring\nversion: 1.0.0\nsummary: a ring of 1 MiB\n';
    const release = { manifest, objects: [{ arch: 'any', digest: 'd', bytes: object.length }] };
    const MIB = 1024 ** 2;
    const facts = { kernelRelease: '6.1.0', kernelArch: 'arm64', userBits: 64, pageBytes: 4096, memoryBytes: 64 * MIB };
    const start = (othersBytes: number): Promise<void> =>
      new Starter({
        trust: { storedRelease: () => release, storedBlob: () => object },
        kernel: {
          cpus: 1,
          load: () => {
            throw new Error('it is loaded');
          },
        },
        facts: { ...facts, btfDigest: 'b' },
        move: () => undefined,
        mapBytesBeside: () => othersBytes,
      } as unknown as StarterOptions).start(slot, {
        ...entry,
        params: {},
        budget: { mapBytes: 2 * MIB },
      } as typeof entry);
    await expect(start(14 * MIB)).rejects.toThrow('it is loaded');
    await expect(start(15 * MIB)).rejects.toMatchObject({
      code: 'DEVICE_FULL',
      message: expect.stringMatching(/beside the 15728640 of what runs; .* lets all probes together have 16777216$/),
    });
  });
});
