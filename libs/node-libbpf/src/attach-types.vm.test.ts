import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithVm, recordKernelSupport, recordVmFact } from '@bpfleet/testkit';
import type { RunningVm, VmTarget } from '@bpfleet/vm';
import { startVm } from '@bpfleet/vm';
import type { CheckOutcome, SupportCheck } from '../fixtures/vm-library.js';
import { checkSupport, installLibrary, runNode } from '../fixtures/vm-library.js';
import { attachTypes, mapTypes } from './index.js';

const BOOT_TIMEOUT_MS = 240_000;

/** What a kernel lacks of a kind: the type, and the reason as the check told it. */
type Missing = Readonly<Record<string, string>>;
interface Seen {
  readonly attach: Missing;
  readonly map: Missing;
  /** Attach types whose link a process cannot leave behind. */
  readonly unpinned: readonly string[];
  /** Of the map types that are read entry by entry, those that this kernel has no batches for. */
  readonly keyByKey: readonly string[];
}

const TRAMPOLINES = Object.fromEntries(
  ['fentry', 'fexit', 'fmod_ret', 'lsm', 'lsm_cgroup'].map((name) => [name, 'kernel 6.4']),
);
const NONE_ON_ARM = 'a kernel that has it on armv7l: none has';
const SEEN_BY_ARM64 = '64-bit programs to trace: uprobes of this kernel pass 32-bit ones by';

const ARM64_6_1: Seen = {
  attach: {
    ...TRAMPOLINES,
    kprobe_multi: 'kernel 6.14',
    uprobe_multi: 'kernel 6.6',
    tcx: 'kernel 6.6',
    netfilter: 'kernel 6.4',
    struct_ops_link: 'kernel 6.4',
  },
  map: { cgrp_storage: 'kernel 6.2', arena: 'kernel 6.9' },
  unpinned: [],
  keyByKey: [],
};

/** As seen, not as hoped: a kernel that loses or gains a type must be looked at. */
const SEEN: Readonly<Record<VmTarget, Seen>> = {
  'arm64-5.10': {
    attach: { ...ARM64_6_1.attach, struct_ops: 'kernel 6.0', freplace: 'kernel 6.0' },
    map: {
      ...ARM64_6_1.map,
      struct_ops: 'kernel 6.0',
      task_storage: 'kernel 5.11',
      bloom_filter: 'kernel 5.16',
      user_ringbuf: 'kernel 6.1',
    },
    unpinned: ['tracepoint', 'kprobe', 'kretprobe', 'uprobe', 'uretprobe', 'perf_event'],
    keyByKey: ['percpu_array', 'lpm_trie'],
  },
  'arm64-6.1': ARM64_6_1,
  'arm64-6.1-compat32': {
    ...ARM64_6_1,
    attach: {
      ...ARM64_6_1.attach,
      uprobe: SEEN_BY_ARM64,
      uretprobe: SEEN_BY_ARM64,
      usdt: SEEN_BY_ARM64,
      cgroup_sockopt: '64-bit callers: this kernel does not show those of 32 bits to such programs',
    },
  },
  // FPROBE could not be chosen on ARM64 before 6.14; everything else is there.
  'arm64-6.12': { attach: { kprobe_multi: 'kernel 6.14' }, map: {}, unpinned: [], keyByKey: [] },
  'arm64-6.12-16k': { attach: { kprobe_multi: 'kernel 6.14' }, map: {}, unpinned: [], keyByKey: [] },
  // The first of these kernels on which kprobe_multi can be had.
  'arm64-7.2': { attach: {}, map: {}, unpinned: [], keyByKey: [] },
  // No BTF, no trampolines, and a JIT that is off.
  'armv7-6.1': {
    attach: {
      ...Object.fromEntries(Object.keys(TRAMPOLINES).map((name) => [name, NONE_ON_ARM])),
      ...{ kprobe_multi: NONE_ON_ARM, uprobe_multi: NONE_ON_ARM, tcx: 'kernel 6.6', netfilter: 'kernel 6.4' },
      ...{ struct_ops: NONE_ON_ARM, struct_ops_link: NONE_ON_ARM, freplace: NONE_ON_ARM },
      ...{ tp_btf: 'CONFIG_DEBUG_INFO_BTF', iter: 'CONFIG_DEBUG_INFO_BTF', iter_map_elem: 'CONFIG_DEBUG_INFO_BTF' },
    },
    map: {
      ...ARM64_6_1.map,
      array_of_maps: NONE_ON_ARM,
      struct_ops: NONE_ON_ARM,
      user_ringbuf: 'a JIT (net.core.bpf_jit_enable is 0)',
    },
    unpinned: [],
    keyByKey: [],
  },
};

function missingOf(outcomes: readonly CheckOutcome[], kind: CheckOutcome['kind']): Missing {
  const missing = outcomes.filter((one) => one.kind === kind && one.status === 'missing');
  return Object.fromEntries(missing.map(({ name, why }) => [name, why ?? '']));
}

function testKernel(target: VmTarget): void {
  let vm: RunningVm;
  let check: SupportCheck;

  beforeAll(async () => {
    vm = await startVm({
      target,
      kernelArgs: ['lsm=lockdown,yama,bpf'],
      bootTimeoutMs: BOOT_TIMEOUT_MS,
      background: true,
    });
    await installLibrary(vm);
    check = await checkSupport(vm);
  }, BOOT_TIMEOUT_MS + 360_000);

  afterAll(async () => {
    await vm?.stop();
  });

  it('fails in nothing that this kernel has', () => {
    const { outcomes } = check;
    expect(outcomes.filter(({ status }) => status === 'failed')).toEqual([]);
    expect(outcomes.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      ...attachTypes.map(({ name }) => `attach ${name}`),
      ...mapTypes.map(({ name }) => `map ${name}`),
    ]);
    for (const kind of ['attach', 'map'] as const) {
      const lacks = Object.keys(missingOf(outcomes, kind)).length;
      const all = outcomes.filter((one) => one.kind === kind).length;
      recordVmFact(target, `${kind} types`, `${all - lacks} ok, ${lacks} missing`);
    }
    recordKernelSupport(target, check);
  });

  it('has every attach and map type but those that were seen to be missing', () => {
    const { attach, map } = SEEN[target];
    expect({ attach: missingOf(check.outcomes, 'attach'), map: missingOf(check.outcomes, 'map') }).toEqual({
      attach,
      map,
    });
    // All that the library's tables deny was tried as well.
    expect(check.outcomes.filter(({ unforeseen }) => unforeseen !== undefined)).toEqual([]);
  });

  it('pins links and reads maps in batches where that was seen', () => {
    const without = (what: 'pinned' | 'batches') =>
      check.outcomes.filter(({ seen }) => seen?.[what] === false).map(({ name }) => name);
    const { unpinned, keyByKey } = SEEN[target];
    expect({ unpinned: without('pinned'), keyByKey: without('batches') }).toEqual({ unpinned, keyByKey });
  });

  if (target === 'armv7-6.1') {
    it('reads other slots of an array of maps than were written, which is why the library refuses it', async () => {
      const lines = [
        "import { BpfMap, MapOfMaps } from './dist/index.js';",
        'const u32 = (value) => { const bytes = Buffer.alloc(4); bytes.writeUInt32LE(value); return bytes; };',
        "const shape = { type: 'hash', keyBytes: 4, valueBytes: 8, maxEntries: 2 };",
        'const inner = [0, 1, 2, 3].map((slot) => BpfMap.create({ ...shape, name: `inner${slot}` }));',
        "const outer = BpfMap.create({ type: 'array_of_maps', name: 'outer', keyBytes: 4, valueBytes: 4, maxEntries: 4, inner: inner[0] });",
        'for (const [slot, map] of inner.entries()) outer.update(u32(slot), u32(map.fd));',
        'const found = inner.map((_, slot) => outer.lookup(u32(slot))?.readUInt32LE(0));',
        'const slots = found.map((id) => inner.findIndex((map) => map.id === id));',
        "let refusal = 'none'; try { new MapOfMaps(outer); } catch (error) { refusal = error.code; }",
        'console.log(JSON.stringify({ slots, refusal }));',
      ];
      await vm.put('/opt/node-libbpf/slots.mjs', lines.join('\n'));
      const told: unknown = JSON.parse(await runNode(vm, 'slots.mjs'));
      expect(told).toEqual({ slots: [0, 2, -1, -1], refusal: 'BPF_UNSUPPORTED' });
    });
  }
}

/**
 * `npm test` has the time for one kernel, in the background of its devices: this one has what hosts often lack (kprobes, fexit,
 * fmod_ret, LSM and freplace), all but kprobe_multi.
 */
const ALL = Object.keys(SEEN) as VmTarget[];
const chosen: readonly VmTarget[] = process.env.BPFLEET_VM_TESTS === 'devices' ? ['arm64-6.12'] : ALL;

for (const target of chosen) await describeWithVm(target, 'attach and map types', () => testKernel(target));
