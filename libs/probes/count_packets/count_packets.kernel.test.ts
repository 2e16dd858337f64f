import { execFileSync } from 'node:child_process';
import dgram from 'node:dgram';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { RunningProbe } from '../testing/running-probe.js';

const XDP_PASS = 2;
const ETHERNET_BYTES = 14;
const IPV4_AND_UDP_BYTES = 28;

function ethernet(type: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(ETHERNET_BYTES);
  header.writeUInt16BE(type, 12);
  return Buffer.concat([header, payload]);
}

function ipv4(protocol: number): Buffer {
  const header = Buffer.alloc(20);
  header[0] = 0x45;
  header[9] = protocol;
  return header;
}

function ipv6(next: number, ...extensions: Buffer[]): Buffer {
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header[6] = next;
  return Buffer.concat([header, ...extensions, Buffer.alloc(8)]);
}

function vlan(inner: number, payload: Buffer): Buffer {
  const tag = Buffer.alloc(4);
  tag.writeUInt16BE(inner, 2);
  return Buffer.concat([tag, payload]);
}

/** An IPv6 extension header of 8 × (units + 1) bytes. */
function extension(next: number, units = 0): Buffer {
  const header = Buffer.alloc(8 * (units + 1));
  header[0] = next;
  header[1] = units;
  return header;
}

function seriesOf(probe: RunningProbe, metric: string): Record<string, number> {
  return Object.fromEntries(probe.scalars(metric).map((point) => [point.labels['protocol'], point.value]));
}

describeWithKernel('count_packets', ['bpf', 'btf', 'clang'], () => {
  it.each<[string, string, Buffer]>([
    ['TCP', 'tcp', ethernet(0x0800, ipv4(6))],
    ['UDP under a VLAN tag', 'udp', ethernet(0x8100, vlan(0x0800, ipv4(17)))],
    ['ICMP under two tags', 'icmp', ethernet(0x88a8, vlan(0x8100, vlan(0x0800, ipv4(1))))],
    ['a protocol without a name', '200', ethernet(0x0800, ipv4(200))],
    ['ICMPv6', 'icmpv6', ethernet(0x86dd, ipv6(58))],
    ['UDP behind hop-by-hop options', 'udp', ethernet(0x86dd, ipv6(0, extension(17, 2)))],
    ['a TCP fragment', 'tcp', ethernet(0x86dd, ipv6(44, extension(6)))],
    ['ARP', 'arp', ethernet(0x0806, Buffer.alloc(28))],
    ['an unknown protocol', 'other', ethernet(0x9999, Buffer.alloc(20))],
    ['IPv4 that is cut off', 'other', ethernet(0x0800, Buffer.alloc(10))],
    ['IPv6 that is cut off', 'other', ethernet(0x86dd, Buffer.alloc(30))],
  ])('counts %s as %s and lets it pass', async (_what, protocol, packet) => {
    const probe = await RunningProbe.load('count_packets');
    try {
      const { returnValue } = probe.object.program('count_packets').testRun({ data: packet, repeat: 3 });
      expect(returnValue).toBe(XDP_PASS);
      expect(seriesOf(probe, 'received_packets_total')).toEqual({ [protocol]: 3 });
      expect(seriesOf(probe, 'received_bytes_total')).toEqual({ [protocol]: 3 * packet.length });
    } finally {
      probe.close();
    }
  });
});

describeWithKernel('count_packets on an interface', ['bpf', 'btf', 'clang', 'netns'], () => {
  // A cable of our own, so that nobody else's packets, nor another XDP program, are on it.
  const [near, far] = [`bpfl${process.pid}a`, `bpfl${process.pid}b`];
  const ip = (...args: string[]) => execFileSync('ip', args);
  let probe: RunningProbe;

  beforeAll(async () => {
    ip('link', 'add', near, 'type', 'veth', 'peer', 'name', far);
    ip('link', 'set', far, 'up');
    ip('link', 'set', near, 'up');
    ip('addr', 'add', '198.18.255.1/30', 'dev', near);
    ip('neigh', 'add', '198.18.255.2', 'lladdr', '02:00:00:00:00:02', 'dev', near, 'nud', 'permanent');
    probe = await RunningProbe.start('count_packets', { interface: far });
  });
  afterAll(() => {
    probe.close();
    ip('link', 'del', near);
  });

  it('counts the datagrams that arrive, packet by packet and byte by byte', async () => {
    const socket = dgram.createSocket('udp4');
    const payload = Buffer.alloc(100);
    for (let i = 0; i < 50; i++) {
      await new Promise<void>((resolve, reject) => {
        socket.send(payload, 9, '198.18.255.2', (error) => (error ? reject(error) : resolve()));
      });
    }
    socket.close();
    let packets = 0;
    for (let turn = 0; packets < 50 && turn < 100_000; turn++) {
      packets = seriesOf(probe, 'received_packets_total')['udp'] ?? 0;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(packets).toBe(50);
    const bytes = seriesOf(probe, 'received_bytes_total')['udp'];
    expect(bytes).toBe(50 * (ETHERNET_BYTES + IPV4_AND_UDP_BYTES + payload.length));
  });
});
