import { compileBpf } from '../../../../libs/btf/test/compile-bpf.js';

/** A probe with one of everything that telemetry can carry. Compiled by the clang of this machine, never loaded. */
const SOURCE = `
struct open_event { __u64 ts_ns; __u32 pid; __s32 result; char path[32]; __u8 saddr[4]; __u32 kind; };
struct latency_key { char comm[16]; };
struct latency { __u64 slots[8]; __u64 total_us; };
struct stack_key { __u32 pid; __s32 kernel_stack_id; __s32 user_stack_id; char comm[16]; };
typedef struct open_event open_event_t;
KEEP(open_event_t);
struct { __uint(type, 27); __uint(max_entries, 262144); } events SEC(".maps");
struct { __uint(type, 1); __uint(max_entries, 64); __type(key, __u32); __type(value, __u64); } opens SEC(".maps");
struct { __uint(type, 1); __uint(max_entries, 64); __type(key, __u32); __type(value, __u64); } in_use SEC(".maps");
struct { __uint(type, 5); __uint(max_entries, 64); __type(key, struct latency_key); __type(value, struct latency); } latencies SEC(".maps");
struct { __uint(type, 7); __uint(max_entries, 64); __uint(key_size, 4); __uint(value_size, 1016); } stacks SEC(".maps");
struct { __uint(type, 1); __uint(max_entries, 64); __type(key, struct stack_key); __type(value, __u64); } counts SEC(".maps");
SEC("raw_tp/sys_enter") int on_enter(void *ctx) { return 0; }
char LICENSE[] SEC("license") = "GPL";
`;

const EVENTS_MANIFEST = `
events:
  - name: open
    map: events
    struct: open_event
    time: { field: ts_ns, clock: boottime }
    fields: { saddr: ipv4 }
    when: { field: kind, equals: 1 }
`;

export const FIXTURE_PROBE = 'watch_files';

export function fixtureManifest(version = '1.0.0'): string {
  return `
name: ${FIXTURE_PROBE}
version: ${version}
summary: A probe that only tests know
metrics:
  - { name: opens_total, type: counter, map: opens, labels: { interface: ifname }, help: files opened }
  - { name: files_in_use, type: gauge, map: in_use, labels: { slot: unsigned } }
  - { name: open_latency_seconds, type: histogram, map: latencies, value: slots, sum: total_us, buckets: exp2, unit: us, labels: { comm: string } }
${EVENTS_MANIFEST.trim()}
profiles:
  - { name: cpu, map: counts, stacks: stacks, kernel_stack: kernel_stack_id, user_stack: user_stack_id, labels: { comm: string, pid: unsigned } }
`;
}

let compiled: Uint8Array | undefined;

export function fixtureObject(): Uint8Array {
  compiled ??= compileBpf(SOURCE);
  return compiled;
}

/** The same probe with another type for \`pid\` and one more member. */
export function fixtureObjectChanged(): Uint8Array {
  return compileBpf(
    SOURCE.replace(
      'struct open_event { __u64 ts_ns; __u32 pid; __s32 result;',
      'struct open_event { __u64 ts_ns; __u64 pid; __s32 result; __u32 mode;',
    ),
  );
}

export interface OpenEvent {
  readonly tsNs: bigint;
  readonly pid: number;
  readonly result?: number;
  readonly path?: string;
  readonly saddr?: readonly number[];
  readonly kind?: number;
}

export const OPEN_EVENT_BYTES = 56;

/** `struct open_event` as the kernel side would have written it. */
export function openEventBytes({
  tsNs,
  pid,
  result = 0,
  path = '',
  saddr = [127, 0, 0, 1],
  kind = 1,
}: OpenEvent): Buffer {
  const bytes = Buffer.alloc(OPEN_EVENT_BYTES);
  bytes.writeBigUInt64LE(tsNs, 0);
  bytes.writeUInt32LE(pid, 8);
  bytes.writeInt32LE(result, 12);
  bytes.write(path, 16, 32, 'latin1');
  Buffer.from(saddr).copy(bytes, 48);
  bytes.writeUInt32LE(kind, 52);
  return bytes;
}

/** Keys and values of a map of u32 → u64. */
export function counterSections(entries: readonly (readonly [key: number, value: bigint])[]): [Buffer, Buffer] {
  const keys = Buffer.alloc(entries.length * 4);
  const values = Buffer.alloc(entries.length * 8);
  entries.forEach(([key, value], index) => {
    keys.writeUInt32LE(key, index * 4);
    values.writeBigUInt64LE(value, index * 8);
  });
  return [keys, values];
}

export const LATENCY_VALUE_BYTES = 72;

/** Keys and values of `latencies` for devices of `cpus` CPUs; everything is in the first CPU's slot. */
export function latencySections(
  entries: readonly { readonly comm: string; readonly slots: readonly number[]; readonly totalUs: number }[],
  cpus: number,
): [Buffer, Buffer] {
  const keys = Buffer.alloc(entries.length * 16);
  const values = Buffer.alloc(entries.length * LATENCY_VALUE_BYTES * cpus);
  entries.forEach(({ comm, slots, totalUs }, index) => {
    keys.write(comm, index * 16, 15, 'latin1');
    const at = index * LATENCY_VALUE_BYTES * cpus;
    slots.forEach((count, slot) => values.writeBigUInt64LE(BigInt(count), at + slot * 8));
    values.writeBigUInt64LE(BigInt(totalUs), at + 64);
  });
  return [keys, values];
}

/** Keys and values of `counts`. */
export function profileSections(
  entries: readonly {
    readonly pid: number;
    readonly kernel: number;
    readonly user: number;
    readonly comm: string;
    readonly count: bigint;
  }[],
): [Buffer, Buffer] {
  const keys = Buffer.alloc(entries.length * 28);
  const values = Buffer.alloc(entries.length * 8);
  entries.forEach(({ pid, kernel, user, comm, count }, index) => {
    keys.writeUInt32LE(pid, index * 28);
    keys.writeInt32LE(kernel, index * 28 + 4);
    keys.writeInt32LE(user, index * 28 + 8);
    keys.write(comm, index * 28 + 12, 15, 'latin1');
    values.writeBigUInt64LE(count, index * 8);
  });
  return [keys, values];
}
