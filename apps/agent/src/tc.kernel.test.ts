import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { listLinks, type LinkInfo } from '@bpfleet/node-libbpf';
import { describeWithKernel } from '@bpfleet/testkit';
import type { RunReport } from '@bpfleet/wire';
import { AgentProcess } from './testing/agent-process.js';
import { compileBpf } from './testing/compile.js';
import { FleetServer } from './testing/fleet-server.js';

const DEVICE = 'dkernel00012';
const RUN = 'r00000012';
const INTERFACE = `bpftc${process.pid % 100_000}`;
const PEER = `${INTERFACE}p`;
const TARGET = '192.0.2.9';
const PORT = 9;
const PACKETS = 20;
const SEND = `const s = require('dgram').createSocket('udp4'); let left = ${PACKETS};
  for (let i = left; i > 0; i--) s.send('ping', ${PORT}, '${TARGET}', () => --left || s.close())`;

/** Counts datagrams to one port, and passes everything on to whoever is next. */
const SOURCE = `
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u64);
} packets SEC(".maps");

static __always_inline int counted(struct __sk_buff *skb, __u32 slot)
{
  __u16 port = 0;
  __u64 *count = bpf_map_lookup_elem(&packets, &slot);

  if (skb->protocol == bpf_htons(ETH_P_IP))
    bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(struct iphdr) + 2, &port, sizeof(port));
  if (count && port == bpf_htons(${PORT}))
    *count += 1;
  return -1;
}

SEC("tcx/ingress") int arriving(struct __sk_buff *skb) { return counted(skb, 0); }
SEC("tc") int leaving(struct __sk_buff *skb) { return counted(skb, 1); }

char LICENSE[] SEC("license") = "GPL";
`;
const MANIFEST = `
name: count_both_ways
version: 1.0.0
summary: Datagrams that arrive and leave
params:
  near: { type: string, default: lo, help: where they leave }
  far: { type: string, default: lo, help: where they arrive }
attach:
  arriving: { interface: $far }
  leaving: { interface: $near, direction: egress }
metrics:
  - { name: packets_total, type: counter, map: packets, labels: { slot: unsigned } }
budget: { cpu_percent: 50, map_bytes: 1MiB }
`;

describeWithKernel('tc programs on this kernel', ['root', 'bpf', 'bpffs', 'net_admin', 'netns', 'clang'], () => {
  let server: FleetServer;
  let state: string;
  let agents: AgentProcess[] = [];

  beforeEach(async () => {
    ip('link', 'add', INTERFACE, 'type', 'veth', 'peer', 'name', PEER);
    for (const name of [INTERFACE, PEER]) ip('link', 'set', name, 'up');
    ip('neigh', 'replace', TARGET, 'lladdr', '02:00:00:00:00:01', 'dev', PEER);
    ip('route', 'replace', `${TARGET}/32`, 'dev', PEER);
    server = await FleetServer.start(DEVICE);
    state = await server.enrolledState();
  });

  afterEach(async () => {
    ip('link', 'del', INTERFACE);
    for (const agent of agents) await agent.signal('SIGKILL');
    agents = [];
    await server.stop();
    rmSync(state, { recursive: true, force: true });
    rmSync(`/sys/fs/bpf/bpfleet/${DEVICE}`, { recursive: true, force: true });
  });

  const startAgent = (): void => {
    agents.push(new AgentProcess(['run', '--state', state]));
  };

  /** Datagrams counted, by slot, in the newest snapshot of an epoch. */
  const countedIn = (epoch: number): number[] =>
    server.batches
      .filter(({ header }) => header.epoch === epoch && header.source.map === 'packets' && header.count > 0)
      .reduce<number[]>((newest, { header, sections }) => {
        const [keys, values] = [Buffer.from(sections[0] ?? []), Buffer.from(sections[1] ?? [])];
        const stride = header.sections[1]?.stride ?? 8;
        for (let at = 0; at < header.count; at++) {
          let sum = 0;
          for (let cpu = 0; cpu < stride; cpu += 8) sum += Number(values.readBigUInt64LE(at * stride + cpu));
          newest[keys.readUInt32LE(at * 4)] = sum;
        }
        return newest;
      }, []);

  it('are attached in both directions, adopted after a kill, and gone when they are withdrawn', async () => {
    startAgent();
    const release = server.publish(MANIFEST, compileBpf(SOURCE), 'count_both_ways');
    const budget = { cpuPercent: 50, mapBytes: 1 << 20, eventsPerSecond: 0 };
    const params = { near: PEER, far: INTERFACE };
    await server.desire([server.entry(RUN, release, { probe: 'count_both_ways', params, budget })]);
    const attached = await server.untilState(RUN, 'ATTACHED');
    expect(attached.hold).toBe('pinned');
    const links = linksOf(attached);
    expect(links.map(({ type, ...link }) => [type, 'attachType' in link && link.attachType]).sort()).toEqual([
      ['tcx', 'tcx_egress'],
      ['tcx', 'tcx_ingress'],
    ]);
    send();
    await server.until(() => countedIn(1).join() === [PACKETS, PACKETS].join() || undefined);

    await agents[0]?.signal('SIGKILL');
    // Nobody is there, and they go on counting.
    send();
    startAgent();
    const adopted = await server.untilState(RUN, 'ATTACHED', attached.revision + 1);
    expect(adopted.adopted).toBe(true);
    expect(linksOf(adopted)).toEqual(links);
    await server.until(() => countedIn(2).join() === [2 * PACKETS, 2 * PACKETS].join() || undefined);

    await server.desire([]);
    await server.untilState(RUN, 'REMOVED');
    expect(linksOf(adopted)).toEqual([]);
  });
});

/** Of a run's programs; other tests have theirs on this kernel too. */
function linksOf(report: RunReport): LinkInfo[] {
  const programs = new Set(report.programs?.map(({ id }) => id));
  return listLinks().filter(({ programId }) => programs.has(programId));
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: 'ignore', env: { PATH: '/usr/sbin:/sbin:/usr/bin:/bin' } });
}

function send(): void {
  execFileSync(process.execPath, ['-e', SEND]);
}
