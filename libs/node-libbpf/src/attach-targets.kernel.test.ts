import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { describeWithKernel, hasCapability } from '@bpfleet/testkit';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { FixtureCompiler, makePinFolder, mountTracefs } from '../fixtures/compile.js';
import type { BpfObject } from './index.js';
import { Link, openObject, probeFeatures } from './index.js';

const slots = ['tracepoint', 'raw_tp', 'function', 'return', 'usdt'] as const;
const kernelTypes = hasCapability('btf') ? readFileSync('/sys/kernel/btf/vmlinux').toString('latin1') : '';

describeWithKernel('attach to a named target', ['root', 'bpf', 'btf', 'tracefs', 'clang'], () => {
  let compiler: FixtureCompiler;
  let bytes: Buffer;
  let target: string;
  let object: BpfObject;
  const links: Link[] = [];
  const keep = (link: Link): Link => {
    links.push(link);
    return link;
  };

  beforeAll(() => {
    mountTracefs();
    compiler = new FixtureCompiler();
    bytes = compiler.compile('attach_targets');
    target = compiler.compileProgram('usdt_target');
  });
  afterAll(() => compiler.close());
  beforeEach(() => {
    object = load(process.pid);
  });
  afterEach(() => {
    for (const link of links.splice(0)) link.close();
    object.close();
  });

  function load(pid: number): BpfObject {
    const spec = openObject(bytes);
    spec.global('target_pid').set(pid);
    return spec.load();
  }

  function count(slot: (typeof slots)[number]): number {
    const key = Buffer.alloc(4);
    key.writeUInt32LE(slots.indexOf(slot));
    return Number(object.map('counts').lookup(key)?.readBigUInt64LE(0) ?? 0n);
  }

  /** A process that fires its probe for each line it is given. */
  function startTarget() {
    const child = spawn(target, { stdio: ['pipe', 'pipe', 'inherit'] });
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return {
      pid: child.pid as number,
      fire: async (times: number) => {
        for (let i = 0; i < times; i++) {
          child.stdin.write('go\n');
          await answers.next();
        }
      },
      stop: async () => {
        child.stdin.end();
        await once(child, 'exit');
      },
    };
  }

  it('tracepoints by name', () => {
    keep(object.program('on_tracepoint').attachTracepoint('syscalls', 'sys_enter_getuid'));
    expect(keep(object.program('on_raw_tp').attachRawTracepoint('sys_enter')).type).toBe('raw_tracepoint');
    for (let i = 0; i < 5; i++) process.getuid?.();
    expect(count('tracepoint')).toBe(5);
    expect(count('raw_tp')).toBeGreaterThanOrEqual(5);
    expect(() => object.program('on_tracepoint').attachTracepoint('no_such', 'event')).toThrow('ENOENT');
  });

  it('uprobe and uretprobe by path and function, of one process', () => {
    const libc = { path: 'libc.so.6', function: 'getuid', pid: process.pid };
    const entry = keep(object.program('on_function').attachUprobe(libc));
    keep(object.program('on_return').attachUprobe({ ...libc, onReturn: true }));
    for (let i = 0; i < 4; i++) process.getuid?.();
    expect([count('function'), count('return')]).toEqual([4, 4]);
    entry.close();
    for (let i = 0; i < 3; i++) process.getuid?.();
    expect([count('function'), count('return')]).toEqual([4, 7]);
  });

  it('uprobe on a static function, and only in the process asked for', async () => {
    const [one, other] = [startTarget(), startTarget()];
    object.close();
    object = load(one.pid);
    keep(object.program('on_function').attachUprobe({ path: target, function: 'handle_line', pid: one.pid }));
    await one.fire(3);
    await other.fire(2);
    expect(count('function')).toBe(3);
    await Promise.all([one.stop(), other.stop()]);
  });

  it('USDT by provider and name, with its argument', async () => {
    const child = startTarget();
    const probe = { path: target, provider: 'node_libbpf', name: 'line', pid: child.pid };
    const link = keep(object.program('on_usdt').attachUsdt(probe));
    await child.fire(3);
    expect(count('usdt')).toBe(3);
    expect(object.global('usdt_sum').get()).toBe(10n + 11n + 12n);
    link.close();
    await child.fire(1);
    expect(count('usdt')).toBe(3);
    await child.stop();
    expect(() => object.program('on_usdt').attachUsdt({ ...probe, name: 'nothing', pid: process.pid })).toThrow(
      'ENOENT',
    );
  });

  it('refuses targets that say too little', () => {
    const { attachUprobe, attachKprobe, attachKprobeMulti } = object.program('on_function');
    const program = object.program('on_function');
    for (const misuse of [
      () => attachUprobe.call(program, { path: 'libc.so.6' }),
      () => attachUprobe.call(program, { path: '', function: 'getuid' }),
      () => attachUprobe.call(program, { path: 'libc.so.6', offset: -1 }),
      () => attachKprobe.call(program, { function: 'a\0b' }),
      () => attachKprobeMulti.call(program, { functions: [] }),
      () => program.attachIterator({} as BpfObject['maps'][number]),
      () => program.attachSockmap(object.map('counts')),
    ]) {
      expect(misuse).toThrow(expect.objectContaining({ code: 'BPF_ARGUMENT' }));
    }
    expect(() => program.attachUprobe({ path: target, function: 'no_such_function' })).toThrow('ENOENT');
  });

  it('streams an iterator in bounded chunks, and ends when the reader leaves', async () => {
    const key = Buffer.alloc(4);
    for (let i = 0; i < 2_000; i++) {
      key.writeUInt32LE(i);
      object.map('elements').update(key, Buffer.alloc(8));
    }
    const link = keep(object.program('on_element').attachIterator(object.map('elements')));
    const seen: string[] = [];
    for await (const chunk of link.iterate({ chunkBytes: 1024 })) {
      expect(chunk.length).toBeLessThanOrEqual(1024);
      seen.push(chunk.toString('latin1'));
    }
    expect(seen.length).toBeGreaterThan(20);
    expect(new Set(seen.join('').trim().split('\n')).size).toBe(2_000);
    for await (const chunk of link.iterate()) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
  });

  (hasCapability('kprobe') ? it : it.skip)('kprobe and kretprobe by function [needs kprobe]', () => {
    const spec = openObject(compiler.compile('kprobe_multi'));
    spec.program('on_functions').autoload = false;
    const probes = spec.load();
    const program = probes.program('on_function');
    for (const onReturn of [false, true]) {
      keep(program.attachKprobe({ function: 'do_nanosleep', onReturn })).close();
    }
    probes.close();
  });

  const hasMulti = hasCapability('kprobe') && kernelTypes.includes('bpf_kprobe_multi_link');
  (hasMulti ? it : it.skip)('kprobe_multi by names and by pattern [needs kprobe, CONFIG_FPROBE]', () => {
    const spec = openObject(compiler.compile('kprobe_multi'));
    const probes = spec.load();
    const program = probes.program('on_functions');
    expect(keep(program.attachKprobeMulti({ functions: ['do_nanosleep'] })).type).toBe('kprobe_multi');
    keep(program.attachKprobeMulti({ functions: 'hrtimer_nano*', onReturn: true }));
    probes.close();
  });

  const hasTrampolines = probeFeatures().programTypes['tracing'] === true;
  (hasTrampolines ? it : it.skip)('freplace: another function of a BPF program [needs BPF trampolines]', () => {
    const replaced = openObject(compiler.compile('replaced')).load();
    const spec = openObject(compiler.compile('replacement'));
    spec.program('dropping_verdict').setAttachTarget({ function: 'verdict', program: replaced.program('ask') });
    const replacement = spec.load();
    expect(replaced.program('ask').testRun({ data: Buffer.alloc(64) }).returnValue).toBe(2);
    keep(replacement.program('dropping_verdict').attach());
    expect(replaced.program('ask').testRun({ data: Buffer.alloc(64) }).returnValue).toBe(1);
    replacement.close();
    replaced.close();
  });

  it('attach targets: takes functions that exist and refuses those that do not', () => {
    const replaced = openObject(compiler.compile('replaced')).load();
    const spec = openObject(compiler.compile('replacement'));
    const program = spec.program('dropping_verdict');
    expect(() => program.setAttachTarget({ function: '' })).toThrow('non-empty');
    expect(() => program.setAttachTarget({ function: 'nothing', program: replaced.program('ask') })).toThrow('ENOENT');
    program.setAttachTarget({ function: 'verdict', program: replaced.program('ask') });
    replaced.close();
    spec.close();
  });

  const hasTcpOps = kernelTypes.includes('bpf_struct_ops_tcp_congestion_ops');
  const congestionControls = () => readFileSync('/proc/sys/net/ipv4/tcp_available_congestion_control', 'utf8');

  (hasTcpOps ? it : it.skip)('struct_ops: registers a congestion control [needs struct_ops of TCP]', () => {
    const congestion = openObject(compiler.compile('congestion')).load();
    const link = keep(congestion.attachStructOps('steady'));
    expect([link.type, link.id]).toEqual(['struct_ops', undefined]);
    expect(congestionControls()).toContain('bpf_nlb_test');
    expect(() => link.pin('/sys/fs/bpf/never')).toThrow('EOPNOTSUPP');
    expect(() => congestion.updateStructOps('successor', link)).toThrow('struct_ops.link');
    expect(() => congestion.attachStructOps('steady')).toThrow(expect.objectContaining({ code: 'BPF_ATTACH' }));
    link.close();
    expect(congestionControls()).not.toContain('bpf_nlb_test');
    expect(() => congestion.attachStructOps('nothing')).toThrow('there are');
    congestion.close();
  });

  const hasTcpLinks = hasTcpOps && kernelTypes.includes('bpf_struct_ops_link');
  (hasTcpLinks ? it : it.skip)('struct_ops: a link is pinned, adopted, and updated [needs struct_ops links]', () => {
    const pins = makePinFolder();
    const congestion = openObject(compiler.compile('congestion')).load();
    const link = keep(congestion.attachStructOps('linked'));
    const mapOfLink = () => fdinfoOfLink(link.id).find(([key]) => key === 'map_id')?.[1];
    expect([link.type, typeof link.id]).toEqual(['struct_ops', 'number']);
    expect(mapOfLink()).toBe(String(congestion.map('linked').id));
    expect(link.info()).toMatchObject({ type: 'struct_ops', mapId: congestion.map('linked').id });
    expect(() => link.update(congestion.programs[0] as never)).toThrow('updateStructOps');
    congestion.updateStructOps('successor', link);
    expect(mapOfLink()).toBe(String(congestion.map('successor').id));

    // A map that is for no link must not be registered on the way to the refusal.
    expect(() => congestion.updateStructOps('steady', link)).toThrow('EINVAL');
    expect(congestionControls()).not.toContain('bpf_nlb_test');

    link.pin(join(pins, 'link'));
    link.close();
    congestion.close();
    expect(congestionControls()).toContain('bpf_nlb_link');
    const adopted = keep(Link.openPinned(join(pins, 'link')));
    expect(adopted.type).toBe('struct_ops');
    const again = openObject(compiler.compile('congestion')).load();
    expect(() => again.updateStructOps('linked', adopted)).toThrow('EOPNOTSUPP');
    expect(() => again.updateStructOps('linked', 'link' as never)).toThrow('expected the Link');
    adopted.detach();
    expect(congestionControls()).not.toContain('bpf_nlb_link');
    again.close();
    rmSync(pins, { recursive: true });
  });

  /** What the kernel says of this process's descriptor of a link: key and value pairs. */
  function fdinfoOfLink(id: number | undefined): string[][] {
    const descriptors = readdirSync('/proc/self/fdinfo').flatMap((fd) => {
      try {
        return [readFileSync(join('/proc/self/fdinfo', fd), 'utf8')];
      } catch {
        return []; // The descriptor that listed the folder is gone.
      }
    });
    const ours = descriptors.find((text) => text.includes(`link_id:\t${id}\n`)) ?? '';
    return ours.split('\n').map((line) => line.split(/:\s+/));
  }
});
