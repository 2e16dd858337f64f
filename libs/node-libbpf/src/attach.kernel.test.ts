import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { existsSync, readFileSync } from 'node:fs';
import { cgroup2Root, FixtureCompiler, mountTracefs } from '../fixtures/compile.js';
import { eventually } from '../fixtures/eventually.js';
import type { BpfObject, Link } from './index.js';
import { enableStats, listLinks, listPrograms, LibbpfError, openObject, possibleCpus } from './index.js';

const slots = ['tracepoint', 'raw_tp', 'tp_btf', 'uprobe', 'perf_event', 'xdp', 'cgroup_skb', 'tcx'] as const;
const getuidNumbers: Record<string, bigint> = { x64: 102n, arm64: 174n, arm: 199n };

describeWithKernel('attach', ['root'], () => {
  let compiler: FixtureCompiler;
  let bytes: Buffer;
  let object: BpfObject;
  const links: Link[] = [];

  beforeAll(() => {
    mountTracefs();
    compiler = new FixtureCompiler();
    bytes = compiler.compile('attach_kinds');
  });
  afterAll(() => compiler.close());

  beforeEach(() => {
    const spec = openObject(bytes);
    spec.global('target_pid').set(process.pid);
    spec.global('getuid_number').set(getuidNumbers[process.arch] ?? 0n);
    object = spec.load();
  });
  afterEach(() => {
    for (const link of links.splice(0)) link.close();
    object.close();
  });

  function count(slot: (typeof slots)[number]): number {
    const key = Buffer.alloc(4);
    key.writeUInt32LE(slots.indexOf(slot));
    return Number(object.map('counts').lookup(key)?.readBigUInt64LE(0) ?? 0n);
  }

  function keep(link: Link): Link {
    links.push(link);
    return link;
  }

  function getuid(times: number): void {
    for (let i = 0; i < times; i++) process.getuid?.();
  }

  const onUprobe = { event: 'uprobe', path: expect.stringContaining('libc'), offset: expect.any(Number) };
  it.each([
    ['tracepoint', 'on_tracepoint', 'perf_event', { target: { event: 'tracepoint', tracepoint: 'sys_enter_getuid' } }],
    ['raw_tp', 'on_raw_tp', 'raw_tracepoint', { tracepoint: 'sys_enter' }],
    ['tp_btf', 'on_tp_btf', 'raw_tracepoint', { tracepoint: 'sys_enter' }],
    ['uprobe', 'on_uprobe', 'perf_event', { target: onUprobe }],
  ] as const)('%s: counts each call while attached, and none after', (slot, program, linkType, target) => {
    getuid(3);
    expect(count(slot)).toBe(0);
    const link = keep(object.program(program).attach());
    expect(link.type).toBe(linkType);
    expect(link.info()).toEqual({ id: link.id, type: linkType, programId: object.program(program).id, ...target });
    getuid(5);
    expect(count(slot)).toBe(5);
    link.close();
    link.close();
    getuid(5);
    expect(count(slot)).toBe(5);
    expect(() => link.info()).toThrow(expect.objectContaining({ code: 'BPF_CLOSED' }));
  });

  it('perf_event: samples every CPU, with user stacks', async () => {
    const program = object.program('on_perf_event');
    for (let cpu = 0; cpu < possibleCpus(); cpu++) {
      const link = keep(program.attachPerfEvent({ type: 'software', config: 0, frequencyHz: 997, cpu, pid: -1 }));
      expect(link.type).toBe('perf_event');
    }
    const burn = () => {
      for (let i = 0; i < 1e5; i++) Math.sqrt(i);
    };
    await eventually(burn, () => count('perf_event') > 3, 100_000);
    const stacks = object.map('stacks').readAll();
    expect(stacks.count).toBeGreaterThan(0);
    expect(stacks.values.readBigUInt64LE(0)).not.toBe(0n);

    const wrong = { type: 'software', config: 0, cpu: 0, pid: -1 } as const;
    expect(() => program.attachPerfEvent(wrong)).toThrow('either frequencyHz or period');
    expect(() => program.attachPerfEvent({ ...wrong, period: 0n })).toThrow('must not be 0');
    expect(() => program.attachPerfEvent({ ...wrong, period: 1_000_000n, cpu: 9999 })).toThrow(LibbpfError);
    keep(program.attachPerfEvent({ ...wrong, period: 1_000_000n }));
  });

  it('xdp: runs on a given packet without being attached', () => {
    const result = object.program('on_xdp').testRun({ data: Buffer.alloc(100), repeat: 7 });
    expect(result).toMatchObject({ returnValue: 2, data: Buffer.alloc(100) });
    expect(count('xdp')).toBe(7);
    expect(object.global('sum').get()).toBe(700n);
    expect(object.program('drop_xdp').testRun({ data: Buffer.alloc(100) }).returnValue).toBe(1);
  });

  it('raw_tp: runs on given arguments without being attached', () => {
    const context = Buffer.alloc(16);
    context.writeBigUInt64LE(getuidNumbers[process.arch] ?? 0n, 8);
    expect(object.program('on_raw_tp').testRun({ context }).returnValue).toBe(0);
    expect(count('raw_tp')).toBe(1);
  });

  it('xdp and tcx: see packets of a real interface, and swap programs in place', async () => {
    const near = `nlb${process.pid % 100000}a`;
    const far = `nlb${process.pid % 100000}b`;
    execFileSync('ip', ['link', 'add', near, 'type', 'veth', 'peer', 'name', far]);
    const socket = createSocket('udp4');
    try {
      // A loopback-only network would do for nobody else: 198.18.0.0/15 is set aside for tests of devices (RFC 2544).
      execFileSync('ip', ['addr', 'add', '198.18.77.1/24', 'broadcast', '198.18.77.255', 'dev', near]);
      for (const name of [near, far]) execFileSync('ip', ['link', 'set', name, 'up']);
      const ifindex = Number(readFileSync(`/sys/class/net/${far}/ifindex`, 'utf8'));
      await new Promise<void>((resolve) => socket.bind(0, '198.18.77.1', resolve));
      socket.setBroadcast(true);
      const send = () => socket.send('x', 9, '198.18.77.255');

      const xdp = keep(object.program('on_xdp').attachXdp(ifindex, { mode: 'generic' }));
      expect(xdp.type).toBe('xdp');
      await eventually(send, () => count('xdp') > 0);
      const tcx = keep(object.program('on_tcx').attachTcx(ifindex, 'ingress'));
      expect(tcx.info()).toEqual({
        id: tcx.id,
        type: 'tcx',
        programId: object.program('on_tcx').id,
        ifindex,
        attachType: 'tcx_ingress',
      });
      await eventually(send, () => count('tcx') > 0);

      xdp.update(object.program('drop_xdp'));
      expect(xdp.info().programId).toBe(object.program('drop_xdp').id);
      expect(() => xdp.update({} as unknown as BpfObject['programs'][number])).toThrow('program.fd');
      expect(() => object.program('on_xdp').attachXdp(ifindex)).toThrow(/EBUSY|EEXIST/);
      xdp.detach();
      keep(object.program('on_xdp').attachXdp(ifindex)).detach();
    } finally {
      socket.close();
      execFileSync('ip', ['link', 'del', near]);
    }
  });

  const cgroup = cgroup2Root();
  (cgroup === undefined ? it.skip : it)('cgroup_skb: counts what leaves [needs cgroup v2]', async () => {
    const link = keep(object.program('on_cgroup_skb').attachCgroup(cgroup ?? ''));
    expect(link.type).toBe('cgroup');
    const socket = createSocket('udp4');
    await eventually(
      () => socket.send('x', 9, '127.0.0.1'),
      () => count('cgroup_skb') > 0,
    );
    socket.close();
    link.detach();
    expect(() => object.program('on_cgroup_skb').attachCgroup('/proc')).toThrow(LibbpfError);
    expect(() => object.program('on_cgroup_skb').attachCgroup('/no/such/cgroup')).toThrow('ENOENT');
  });

  it('iter: reads what the program prints, within the bound', () => {
    const link = keep(object.program('on_iter').attach());
    expect(link.type).toBe('iter');
    expect(link.readIterator().toString()).toContain(`map ${object.map('counts').id}\n`);
    expect(link.readIterator({ bytesMax: 5 }).length).toBe(5);
    expect(() => keep(object.program('on_raw_tp').attach()).readIterator()).toThrow(LibbpfError);
  });

  it('sk_lookup: attaches to a network namespace', () => {
    const link = keep(object.program('on_sk_lookup').attachNetns('/proc/self/ns/net'));
    expect(link.type).toBe('netns');
    link.detach();
  });

  const hasKprobes = existsSync('/sys/bus/event_source/devices/kprobe');
  (hasKprobes ? it : it.skip)('kprobe: attaches [needs CONFIG_KPROBES]', () => {
    expect(keep(object.program('on_kprobe').attach()).type).toBe('perf_event');
  });

  it('says why a program cannot be attached by its section', () => {
    expect(() => object.program('on_xdp').attach()).toThrow(
      expect.objectContaining({ code: 'BPF_ATTACH', errnoName: 'EOPNOTSUPP' }),
    );
    expect(() => object.program('on_xdp').attachXdp(0)).toThrow(expect.objectContaining({ code: 'BPF_ARGUMENT' }));
    expect(() => object.program('on_xdp').attachXdp(0x7fff_0000)).toThrow(
      expect.objectContaining({ code: 'BPF_ATTACH' }),
    );
  });

  it('counts runs and run time while statistics are on', () => {
    const stats = enableStats();
    const program = object.program('on_tracepoint');
    keep(program.attach());
    getuid(100);
    const info = program.info();
    expect(info.runCount).toBeGreaterThanOrEqual(100n);
    expect(info.runTimeNs).toBeGreaterThan(0n);
    stats.close();
    stats.close();
  });

  it('lists programs and links of the system', () => {
    const link = keep(object.program('on_raw_tp').attach());
    expect(listPrograms().map((program) => program.id)).toContain(object.program('on_raw_tp').id);
    expect(listLinks()).toContainEqual(link.info());
  });
});
