import { readObject } from '@bpfleet/btf';
import type { BpfObjectFile } from '@bpfleet/btf';
import { compileBpf } from '../../btf/test/compile-bpf.js';

/** A probe with one of everything that a manifest can speak about. */
const SOURCE = `
struct hist_key { char comm[16]; __u16 protocol; __u16 port; __u8 saddr[4]; };
struct hist { __u64 slots[6]; __u64 total_us; };
struct traffic { __u64 packets; __u64 bytes; };
struct stack_key { __u32 pid; __s32 kernel_stack_id; __u32 user_stack_id; char comm[8]; };
enum verdict { ALLOWED, DENIED = 3 };
struct connect_event {
	__u64 ts_ns; __u32 kind; __u32 saddr; __u8 daddr[16]; __u16 dport; __u8 old_state; _Bool inbound;
	__s32 result; __u64 cgroup; __u64 took_ns; enum verdict verdict; __u32 dev; char comm[8]; __u32 _pad;
	union { __u32 v4; __u8 v6[16]; } peer;
	__u32 Odd_Name; __u32 syscall;
};
struct exit_event { __u64 ts_ns; __u32 kind; __u32 code; char args[]; };
typedef struct connect_event connect_t; KEEP(connect_t);
const struct exit_event *const bpfleet_event_exit_event __attribute__((section(".bpfleet.events"), used)) = 0;
const struct connect_event *const bpfleet_event_connect_event __attribute__((section(".bpfleet.events"), used)) = 0;
struct { __uint(type, 27); __uint(max_entries, 65536); } events SEC(".maps");
struct { __uint(type, 6); __uint(max_entries, 1); __type(key, __u32); __type(value, __u64); } bpfleet_drops SEC(".maps");
struct { __uint(type, 5); __uint(max_entries, 64); __type(key, struct hist_key); __type(value, struct hist); } hists SEC(".maps");
struct { __uint(type, 6); __uint(max_entries, 16); __type(key, __u32); __type(value, struct traffic); } traffic SEC(".maps");
struct { __uint(type, 2); __uint(max_entries, 8); __type(key, __u32); __type(value, __u32); } calls SEC(".maps");
struct { __uint(type, 2); __uint(max_entries, 1); __type(key, __u32); __type(value, __s64); } gauge SEC(".maps");
struct { __uint(type, 1); __uint(max_entries, 64); __type(key, struct stack_key); __type(value, __u64); } counts SEC(".maps");
struct { __uint(type, 7); __uint(max_entries, 64); __uint(key_size, 4); __uint(value_size, 1016); } stacks SEC(".maps");
const volatile __u32 min_us = 5;
const volatile _Bool by_comm = 0;
const volatile __s64 uid = -1;
const volatile __u8 level = 1;
const volatile enum verdict policy = DENIED;
const volatile char prefix[8] = "abc";
__u64 counter;
SEC("xdp") int count_packets(void *ctx) { return min_us + by_comm + uid + level + policy + prefix[2] + counter; }
SEC("perf_event") int on_sample(void *ctx) { return 0; }
char LICENSE[] SEC("license") = "GPL";`;

export function sampleBytes(target: 'bpfel' | 'bpfeb' = 'bpfel'): Uint8Array {
  return compileBpf(SOURCE, target);
}

export function sampleObject(target: 'bpfel' | 'bpfeb' = 'bpfel'): BpfObjectFile {
  return readObject(sampleBytes(target));
}

export const SAMPLE_MANIFEST = `
name: sample
version: 1.2.3
summary: one of everything
params:
  min_us: { default: 7, unit: us, min: 0, max: 1000000, help: ignore shorter waits }
  by_comm: { default: true }
  uid: { default: -1 }
  level: { default: 200, max: 255, min: 0 }
  policy: { default: ALLOWED }
  prefix: { default: xy }
  interface: { type: string, default: lo }
  frequency_hz: { default: 49, min: 1, max: 999 }
attach:
  count_packets: { interface: $interface, mode: generic }
  on_sample: { frequency_hz: $frequency_hz }
metrics:
  - name: wait_seconds
    type: histogram
    map: hists
    value: slots
    sum: total_us
    buckets: exp2
    unit: us
    labels: { comm: string, proto: { field: protocol, decode: static, values: { 6: tcp, 17: udp } }, saddr: ipv4, port: port }
  - { name: packets_total, type: counter, map: traffic, value: packets, labels: { protocol: unsigned } }
  - { name: syscalls_total, type: counter, map: calls, labels: { syscall: syscall } }
  - { name: depth, type: gauge, map: gauge }
events:
  - name: connect
    map: events
    struct: connect_event
    time: { field: ts_ns, clock: boottime }
    when: { field: kind, equals: 1 }
    fields:
      saddr: ipv4
      daddr: ipv6
      dport: port
      old_state: { decode: static, values: { 1: ESTABLISHED } }
      result: errno
      took_ns: signed
      cgroup: cgroup
      dev: majorminor
      peer.v4: hex
      syscall: syscall
  - { name: exit, map: events, struct: exit_event, time: { field: ts_ns, clock: boottime }, when: { field: kind, equals: 2 } }
profiles:
  - { name: cpu, map: counts, stacks: stacks, kernel_stack: kernel_stack_id, user_stack: user_stack_id, labels: { pid: unsigned, comm: string }, frequency_hz: $frequency_hz }
requires: { features: [ringbuf, xdp] }
budget: { cpu_percent: 2, map_bytes: 4MiB }
`;
