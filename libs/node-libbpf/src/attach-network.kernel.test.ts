import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { describeWithKernel, hasCapability } from '@bpfleet/testkit';
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { cgroup2Root, FixtureCompiler } from '../fixtures/compile.js';
import { eventually } from '../fixtures/eventually.js';
import type { BpfObject, Link } from './index.js';
import { ClsactFilter, openObject } from './index.js';

const firstSlot = 5;
const slots = 'sock_create connect4 getsockopt setsockopt device sysctl sockops sk_msg sk_skb clsact'.split(' ');
const kernelTypes = hasCapability('btf') ? readFileSync('/sys/kernel/btf/vmlinux').toString('latin1') : '';

// Makes a socket, connects it, sets and reads its options, reads a sysctl and opens a device, all from inside the cgroup.
const useEverything = `
  const net = require('node:net');
  require('node:fs').readFileSync('/proc/sys/kernel/ostype');
  require('node:fs').closeSync(require('node:fs').openSync('/dev/null'));
  const server = net.createServer((socket) => socket.end()).listen(0, '127.0.0.1', () => {
    const client = net.connect(server.address().port, '127.0.0.1');
    client.setNoDelay(true).on('close', () => server.close()).resume();
  });
`;

function descriptorOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

describeWithKernel('attach to networks and cgroups', ['root', 'bpf', 'btf', 'net_admin', 'clang'], () => {
  let compiler: FixtureCompiler;
  let bytes: Buffer;
  let object: BpfObject;
  const links: Link[] = [];
  const keep = (link: Link): Link => {
    links.push(link);
    return link;
  };

  beforeAll(() => {
    compiler = new FixtureCompiler();
    bytes = compiler.compile('attach_targets');
  });
  afterAll(() => compiler.close());
  beforeEach(() => {
    object = openObject(bytes).load();
  });
  afterEach(() => {
    for (const link of links.splice(0)) link.close();
    object.close();
  });

  function count(slot: string): number {
    return Number(
      object
        .map('counts')
        .lookup(u32(firstSlot + slots.indexOf(slot)))
        ?.readBigUInt64LE(0) ?? 0n,
    );
  }

  const inCgroup = hasCapability('cgroup2') ? it : it.skip;
  inCgroup('cgroup: sock, sock_addr, sockopt, device, sysctl, sockops [needs cgroup2]', () => {
    const hooks = ['sock_create', 'connect4', 'getsockopt', 'setsockopt', 'device', 'sysctl', 'sockops'];
    const folder = join(cgroup2Root() ?? '', `node-libbpf-${process.pid}`);
    mkdirSync(folder);
    try {
      for (const hook of hooks) expect(keep(object.program(`on_${hook}`).attachCgroup(folder)).type).toBe('cgroup');
      const script = 'echo $$ > "$0/cgroup.procs" && exec "$1" -e "$2"';
      execFileSync('sh', ['-c', script, folder, process.execPath, useEverything]);
      expect(hooks.filter((hook) => count(hook) === 0)).toEqual([]);
    } finally {
      for (const link of links.splice(0)) link.close();
      rmdirSync(folder);
    }
  });

  it('sk_msg and sk_skb: see what passes the sockets of a sockmap', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [[accepted]] = (await Promise.all([once(server, 'connection'), once(client, 'connect')])) as [
      [Socket],
      unknown,
    ];
    try {
      const map = object.map('sockets');
      const link = keep(object.program('on_sk_msg').attachSockmap(map));
      keep(object.program('on_sk_skb').attachSockmap(map));
      expect(link.type).toBe('sockmap');
      for (const [index, socket] of [client, accepted].entries()) {
        const descriptor = Buffer.alloc(8);
        descriptor.writeBigUInt64LE(BigInt(descriptorOf(socket)));
        map.update(u32(index), descriptor);
      }
      await eventually(
        () => client.write('x'),
        () => count('sk_msg') > 0 && count('sk_skb') > 0,
      );
      link.close();
    } finally {
      client.destroy();
      accepted.destroy();
      server.close();
    }
  });

  it('flow dissector: attaches to a network namespace, and runs on a packet', () => {
    const program = object.program('on_flow');
    const link = keep(program.attachNetns('/proc/self/ns/net'));
    const netnsInode = statSync('/proc/self/ns/net').ino;
    const about = { netnsInode, attachType: 'flow_dissector' };
    expect(link.info()).toEqual({ id: link.id, type: 'netns', programId: program.id, ...about });
    link.detach();
    expect(program.testRun({ data: Buffer.alloc(64) }).returnValue).toBe(0);
  });

  (kernelTypes.includes('bpf_nf_link') ? it : it.skip)(
    'netfilter: sees packets that leave [needs CONFIG_NETFILTER_BPF_LINK]',
    async () => {
      const filter = openObject(compiler.compile('netfilter')).load();
      const program = filter.program('on_netfilter');
      expect(program.type).toBe('netfilter');
      const hook = { family: 'ipv4', hook: 'output', priority: -17 } as const;
      const link = keep(program.attachNetfilter(hook));
      expect(link.info()).toEqual({
        id: link.id,
        type: 'netfilter',
        programId: program.id,
        ...hook,
        defragment: false,
      });
      const socket = createSocket('udp4');
      await eventually(
        () => socket.send('x', 9, '127.0.0.1'),
        () => filter.global<bigint>('seen').get() > 0n,
      );
      socket.close();
      expect(() => program.attachNetfilter({ ...hook, priority: 0x7fff_ffff })).toThrow('priority');
      filter.close();
    },
  );

  it('cgroup and netns links swap programs only if the expected one is there', () => {
    const other = openObject(bytes).load();
    const link = keep(object.program('on_flow').attachNetns('/proc/self/ns/net'));
    const [mine, theirs] = [object.program('on_flow'), other.program('on_flow')];
    expect(() => link.update(theirs, { replaces: theirs })).toThrow(expect.objectContaining({ code: 'BPF_LINK' }));
    link.update(theirs, { replaces: mine });
    expect(link.info().programId).toBe(theirs.id);
    link.detach();
    other.close();
  });

  const onInterface = hasCapability('netns') ? it : it.skip;
  onInterface('clsact: is recorded, adopted, replaced, and takes away only what is its own [needs netns]', async () => {
    const near = `nlc${process.pid % 100000}a`;
    execFileSync('ip', ['link', 'add', near, 'type', 'veth', 'peer', 'name', `nlc${process.pid % 100000}b`]);
    const socket = createSocket('udp4');
    try {
      execFileSync('ip', ['addr', 'add', '198.18.78.1/24', 'broadcast', '198.18.78.255', 'dev', near]);
      for (const end of ['a', 'b']) execFileSync('ip', ['link', 'set', `nlc${process.pid % 100000}${end}`, 'up']);
      const ifindex = Number(readFileSync(`/sys/class/net/${near}/ifindex`, 'utf8'));
      await new Promise<void>((resolve) => socket.bind(0, '198.18.78.1', resolve));
      socket.setBroadcast(true);
      const [program, other] = [object.program('on_clsact'), object.program('other_clsact')];

      const first = ClsactFilter.attach(program, { ifindex, direction: 'egress', priority: 7 });
      expect(first.record).toMatchObject({ ifindex, priority: 7, programId: program.id, createdQdisc: true });
      expect(first.record.handle).toBeGreaterThan(0);
      await eventually(
        () => socket.send('x', 9, '198.18.78.255'),
        () => count('clsact') > 0,
      );
      const second = ClsactFilter.attach(other, { ifindex, direction: 'ingress' });
      expect(second.record.createdQdisc).toBe(false);
      const taken = { ifindex, direction: 'egress', priority: 7, handle: first.record.handle } as const;
      expect(() => ClsactFilter.attach(other, taken)).toThrow('EEXIST');

      const adopted = ClsactFilter.adopt(JSON.parse(JSON.stringify(first.record)));
      const swapped = adopted?.replace(other);
      expect(swapped?.record).toEqual({ ...first.record, programId: other.id });
      // The old record is of a program that is gone: nothing is taken away for it.
      expect(first.detach()).toBe(false);
      expect(ClsactFilter.adopt(first.record)).toBeUndefined();
      expect(() => first.replace(program)).toThrow('ESTALE');
      expect(swapped?.detach()).toBe(true);
      expect(swapped?.attachedProgramId()).toBeUndefined();

      expect(first.removeEmptyQdisc()).toBe(false);
      expect(second.detach()).toBe(true);
      expect(second.removeEmptyQdisc()).toBe(false);
      expect(execFileSync('tc', ['qdisc', 'show', 'dev', near]).toString()).toContain('clsact');
      expect(first.removeEmptyQdisc()).toBe(true);
      expect(execFileSync('tc', ['qdisc', 'show', 'dev', near]).toString()).not.toContain('clsact');
      expect(first.detach()).toBe(false);
      expect(() => ClsactFilter.attach(program, { ifindex: 0, direction: 'egress' })).toThrow('ifindex');
    } finally {
      socket.close();
      execFileSync('ip', ['link', 'del', near]);
    }
  });
});
