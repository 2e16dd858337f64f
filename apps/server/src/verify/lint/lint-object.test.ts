import { beforeAll, describe, expect, it } from '@jest/globals';
import { missingCapabilities } from '@bpfleet/testkit';
import { parseManifest } from '@bpfleet/probe';
import { BUILT_IN_PROBES, builtInManifest, compileBuiltIn, compileForTest } from '../testing/compile-for-test.js';
import { describeWithJail } from '../testing/describe-with-jail.js';
import { kernelTypes } from './kernel-types.js';
import { DEFAULT_LINT_POLICY, lintObject } from './lint-object.js';
import type { LintPolicy } from './lint-object.js';

const GPL = 'char LICENSE[] SEC("license") = "GPL";';
const PROGRAM = 'SEC("raw_tp/sys_enter") int p(void *ctx) { return 0; }';

function manifest(more = '') {
  return parseManifest(`name: test_probe\nversion: 1.0.0\nsummary: a test\n${more}`);
}

describeWithJail('lintObject', missingCapabilities(['clang', 'btf']), () => {
  let policy: LintPolicy;
  beforeAll(async () => {
    policy = { ...DEFAULT_LINT_POLICY, isKernelType: await kernelTypes() };
  });

  const lint = async (body: string, more = '') => lintObject(await compileForTest(body), manifest(more), policy);
  const rules = async (body: string, more = '') =>
    (await lint(body, more)).map(({ severity, rule }) => `${severity} ${rule}`);

  it.each(BUILT_IN_PROBES)('finds nothing wrong with %s', async (name) => {
    expect(lintObject(await compileBuiltIn(name), parseManifest(builtInManifest(name)), policy)).toEqual([]);
  });

  it.each([
    ['empty bytes', Buffer.alloc(0)],
    ['text', Buffer.from('int main(void) { return 0; }')],
    [
      'an ELF header and no more',
      Buffer.concat([Buffer.from('\x7fELF\x02\x01\x01', 'latin1'), Buffer.alloc(57, 0xff)]),
    ],
  ])('refuses %s as an object', (_what, bytes) => {
    expect(lintObject(bytes, manifest(), policy)).toMatchObject([{ severity: 'error', rule: 'object_invalid' }]);
  });

  it('refuses an object that is cut off anywhere, or damaged, without throwing', async () => {
    const whole = await compileBuiltIn('count_syscalls');
    for (let bytes = 0; bytes < whole.length; bytes += 97) {
      expect(Array.isArray(lintObject(whole.subarray(0, bytes), manifest(), policy))).toBe(true);
    }
    for (let at = 0; at < whole.length; at += 31) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] as number) ^ 0xff;
      expect(Array.isArray(lintObject(damaged, manifest(), policy))).toBe(true);
    }
  });

  it('refuses an object that is too large, before it is read', () => {
    const findings = lintObject(Buffer.alloc(101), manifest(), { ...policy, objectBytesMax: 100 });
    expect(findings).toMatchObject([{ rule: 'object_too_large', message: expect.stringContaining('101') }]);
  });

  it('wants a licence, and warns of one that the kernel does not take for GPL', async () => {
    expect(await rules(PROGRAM)).toEqual(['error licence']);
    expect(await rules(`${PROGRAM} char LICENSE[] SEC("license") = "Apache-2.0";`)).toEqual(['warning licence']);
  });

  it('wants a program', async () => {
    expect(await rules(`int x; ${GPL}`)).toEqual(['error program_none']);
  });

  it.each([
    ['lsm/file_open', 'lsm'],
    ['fmod_ret/x', 'fmod_ret'],
    ['struct_ops/x', 'struct_ops'],
    ['syscall', 'syscall'],
  ])('refuses a program in %s', async (section, type) => {
    const findings = await lint(`SEC("${section}") int p(void *ctx) { return 0; } ${GPL}`);
    expect(findings).toMatchObject([{ rule: 'program_type', program: 'p', message: expect.stringContaining(type) }]);
  });

  it('refuses a section that names no program type', async () => {
    const [finding] = await lint(`SEC("surprise") int p(void *ctx) { return 0; } ${GPL}`);
    expect(finding).toMatchObject({ rule: 'program_type', message: expect.stringContaining('"surprise"') });
  });

  it('finds helpers that intrude, also behind a 64-bit immediate and in subprograms', async () => {
    const body = `
      struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); } m SEC(".maps");
      static __attribute__((noinline)) int sub(int n) { return bpf_send_signal(n); }
      SEC("raw_tp/sys_enter") int p(struct bpf_raw_tracepoint_args *ctx) {
        u32 key = 0; u64 *v = bpf_map_lookup_elem(&m, &key);
        if (v) bpf_probe_write_user((void *)ctx->args[1], v, 8);
        return sub(ctx->args[0]);
      } ${GPL}`;
    const findings = (await lint(body)).filter(({ rule }) => rule === 'helper_intrusive');
    expect(findings.map(({ program, message }) => [program, /bpf_\w+/.exec(message)?.[0]])).toEqual(
      expect.arrayContaining([
        ['p', 'bpf_probe_write_user'],
        [undefined, 'bpf_send_signal'],
      ]),
    );
    expect(lintObject(await compileForTest(body), manifest(), { ...policy, allowIntrusiveHelpers: true })).toEqual([]);
  });

  it('warns of the log that the whole machine shares', async () => {
    const body = `SEC("raw_tp/sys_enter") int p(void *ctx) { bpf_printk("hello"); return 0; } ${GPL}`;
    expect(await rules(body)).toEqual(['warning helper_printk']);
  });

  it('refuses maps that pin themselves', async () => {
    const map =
      'struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 1); __type(key, u32); __type(value, u64); __uint(pinning, LIBBPF_PIN_BY_NAME); } m SEC(".maps");';
    expect(await lint(`${map} ${PROGRAM} ${GPL}`)).toMatchObject([{ rule: 'map_pinned', map: 'm' }]);
  });

  it('adds up the maps against the budget, each CPU counted', async () => {
    const map =
      'struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 1024); __type(key, u32); __type(value, u64[16]); } m SEC(".maps");';
    const body = `${map} ${PROGRAM} ${GPL}`;
    expect(await rules(body, 'budget: { map_bytes: 2MiB }')).toEqual([]);
    expect(await lint(body, 'budget: { map_bytes: 1MiB }')).toMatchObject([{ rule: 'map_memory', map: 'm' }]);
  });

  it('says which maps exist when the manifest names one that does not', async () => {
    const map =
      'struct { __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY); __uint(max_entries, 4); __type(key, u32); __type(value, u64); } counts SEC(".maps");';
    const findings = await lint(
      `${map} ${PROGRAM} ${GPL}`,
      'metrics: [{ name: calls_total, type: counter, map: count }]',
    );
    expect(findings).toMatchObject([
      { severity: 'error', rule: 'manifest', message: expect.stringContaining('counts') },
    ]);
  });

  describe('events', () => {
    const EVENTS = 'events: [{ name: thing, map: events, struct: thing }]';
    const event = (
      fields: string,
    ) => `struct inner { u8 a; }; struct thing { ${fields} }; BPFLEET_EVENT(thing); BPFLEET_RING(events, 65536);
      SEC("raw_tp/sys_enter") int p(void *ctx) { struct thing *e = bpfleet_reserve(events, struct thing); if (e) bpfleet_submit(e); return 0; } ${GPL}`;

    it.each([
      ['u64 ts_ns; u32 pid; u32 n; char comm[16];'],
      ['u8 flags; u8 pad[7]; u64 n;'],
      ['u32 a : 4; u32 b : 28; u32 c;'],
      ['struct inner i[8];'],
    ])('accepts %s', async (fields) => {
      const faults = (await lint(event(fields), EVENTS)).filter(({ rule }) => rule === 'event_layout');
      expect(faults).toEqual([]);
    });

    it.each([
      ['u64 a; void *task;', /thing\.task is a pointer/],
      ['unsigned long n;', /thing\.n is a .*long.*fixed width/],
      ['u32 pid; u64 ts_ns;', /4 unnamed bytes of padding after pid: .*pad\[4\]/],
      ['u64 ts_ns; u8 flag;', /7 unnamed bytes of padding after flag/],
      ['struct in_addr a; u32 pad;', /thing\.a is the kernel's struct in_addr/],
      ['struct list_head l;', /thing\.l is the kernel's struct list_head/],
    ])('refuses %s', async (fields, message) => {
      const faults = (await lint(event(fields), EVENTS)).filter(({ rule }) => rule === 'event_layout');
      expect(faults).toEqual([expect.objectContaining({ severity: 'error', message: expect.stringMatching(message) })]);
    });

    it('warns when drops cannot be known', async () => {
      const body = `struct thing { u64 n; }; BPFLEET_EVENT(thing);
        struct { __uint(type, BPF_MAP_TYPE_RINGBUF); __uint(max_entries, 65536); } events SEC(".maps"); ${PROGRAM} ${GPL}`;
      expect(await rules(body, EVENTS)).toEqual(['warning drops_unknown']);
    });
  });

  it('holds keys and values of metrics to the same rules', async () => {
    const body = `struct call_key { u32 pid; u64 cgroup; }; struct { __uint(type, BPF_MAP_TYPE_PERCPU_HASH); __uint(max_entries, 4); __type(key, struct call_key); __type(value, u64); } counts SEC(".maps"); ${PROGRAM} ${GPL}`;
    const findings = await lint(
      body,
      'metrics: [{ name: calls_total, type: counter, map: counts, labels: { pid: unsigned, cgroup: hex } }]',
    );
    expect(findings).toMatchObject([
      { rule: 'map_layout', map: 'counts', message: expect.stringContaining('padding after pid') },
    ]);
  });
});
