import { afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FixtureCompiler, makePinFolder } from '../fixtures/compile.js';
import type { BpfObject } from './index.js';
import {
  BpfMap,
  bpffsMounts,
  enableStats,
  findOwners,
  IterLink,
  Link,
  listBtfs,
  listLinks,
  listMaps,
  listPins,
  listPrograms,
  openObject,
  Program,
  RawTracepointLink,
  readBtf,
  walkPrograms,
} from './index.js';

describeWithKernel('the objects of the system', ['root', 'bpf', 'btf', 'bpffs', 'clang'], () => {
  let bytes: Buffer;
  let object: BpfObject;
  let folder: string;

  beforeAll(() => {
    const compiler = new FixtureCompiler();
    bytes = compiler.compile('attach_kinds');
    compiler.close();
  });
  beforeEach(() => {
    folder = makePinFolder();
    object = openObject(bytes).load();
  });
  afterEach(() => {
    object.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('lists a program with what it uses and costs', () => {
    const program = object.program('on_raw_tp');
    const stats = enableStats();
    const link = program.attach();
    process.getuid?.();
    const listed = listPrograms().find(({ id }) => id === program.id);
    link.close();
    stats.close();
    expect(stats.closed).toBe(true);
    expect(listed).toMatchObject({ name: 'on_raw_tp', type: 'raw_tracepoint', ownerUid: 0, gplCompatible: true });
    expect(listed?.mapIds).toContain(object.map('counts').id);
    expect(listed?.runCount).toBeGreaterThan(0n);
    expect(listed?.memoryBytes).toBeGreaterThan(0);
    expect(listed?.xlatedBytes).toBeGreaterThan(0);
    expect(listed?.verifiedInsns).toBeGreaterThan(0);
    expect(listed?.loadedAtBoottimeNs).toBeGreaterThan(0n);
    const btf = listBtfs().find(({ id }) => id === listed?.btfId);
    expect(btf).toMatchObject({ kernel: false });
    expect(readBtf(btf?.id ?? 0)?.length).toBe(btf?.bytes);
    const traced = listPrograms().find(({ id }) => id === object.program('on_tp_btf').id);
    expect(listBtfs().find(({ id }) => id === traced?.attachBtfId)).toMatchObject({ name: 'vmlinux', kernel: true });
    expect(traced?.attachBtfTypeId).toBeGreaterThan(0);
  });

  it('lists a map with its memory, and whether it is frozen', () => {
    const map = object.map('counts');
    const listed = () => listMaps().find(({ id }) => id === map.id);
    expect(listed()).toMatchObject({ name: 'counts', type: 'array', keyBytes: 4, valueBytes: 8, frozen: false });
    expect(listed()?.memoryBytes).toBeGreaterThan(0);
    expect(listed()?.btfKeyTypeId).toBeGreaterThan(0);
    map.freeze();
    expect(listed()?.frozen).toBe(true);
  });

  it('opens any of them by its id, links as the class of their type', () => {
    const link = object.program('on_raw_tp').attach();
    const iterator = object.program('on_iter').attach();
    expect(listLinks()).toContainEqual(link.info());
    const again = Link.openById(link.id ?? 0);
    expect(again).toBeInstanceOf(RawTracepointLink);
    expect(again?.info()).toEqual(link.info());
    const iteratorAgain = Link.openById(iterator.id ?? 0);
    expect(iteratorAgain).toBeInstanceOf(IterLink);
    expect(iteratorAgain?.readIterator().toString()).toContain(`map ${object.map('counts').id}\n`);
    const map = BpfMap.openById(object.map('counts').id);
    expect(map?.lookup(Buffer.alloc(4))?.length).toBe(8);
    const program = Program.openById(object.program('on_xdp').id);
    expect(program?.testRun({ data: Buffer.alloc(64) }).returnValue).toBe(2);
    expect(() => program?.attach()).toThrow('no object');
    for (const handle of [link, iterator, again, iteratorAgain, map, program]) handle?.close();
  });

  it('takes what has vanished meanwhile for nothing', () => {
    const program = object.program('on_xdp');
    const [programId, mapId] = [program.id, object.map('counts').id];
    const link = object.program('on_raw_tp').attach();
    const linkId = link.id ?? 0;
    const walk = walkPrograms();
    // The walk stands before the programs that go now.
    walk.next();
    link.close();
    object.close();
    expect([...walk].map(({ id }) => id)).not.toContain(programId);
    expect(Link.openById(linkId)).toBeUndefined();
    expect(readBtf(0xffff_fff0)).toBeUndefined();
    expect(Program.openById(0xffff_fff0)).toBeUndefined();
    expect(BpfMap.openById(0xffff_fff0)).toBeUndefined();
    expect(() => Program.openById(0)).toThrow(expect.objectContaining({ code: 'BPF_ARGUMENT' }));
    expect(mapId).toBeGreaterThan(0);
  });

  it('says when there is more than was asked for', () => {
    expect(() => listPrograms({ entriesMax: 1 })).toThrow('more than 1');
    expect(() => listPrograms({ entriesMax: 0 })).toThrow(expect.objectContaining({ code: 'BPF_ARGUMENT' }));
  });

  it('finds the processes that hold them, also by a pin that another process opened', async () => {
    const link = object.program('on_raw_tp').attach();
    const me = expect.objectContaining({ pid: process.pid });
    const owners = findOwners();
    expect(owners.of('program', object.program('on_raw_tp').id)).toContainEqual(me);
    expect(owners.of('map', object.map('counts').id)).toContainEqual(me);
    expect(owners.of('link', link.id ?? 0)).toContainEqual(me);
    expect(owners.of('map', 0xffff_fff0)).toEqual([]);
    expect([owners.truncated, owners.hiddenProcesses]).toEqual([false, 0]);

    const path = join(folder, 'counts');
    object.map('counts').pin(path);
    const library = new URL('../build/Release/bpf.node', import.meta.url).pathname;
    const script = `const kept = require(${JSON.stringify(library)}).openPinned(${JSON.stringify(path)}, 'map');
      process.title = 'a holder'; console.log(kept.fd()); process.stdin.resume();`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    expect(findOwners().of('map', object.map('counts').id)).toContainEqual({ pid: child.pid, comm: 'a holder' });
    child.stdin.end();
    await once(child, 'exit');
    expect(findOwners({ descriptorsMax: 1 }).truncated).toBe(true);
    expect(findOwners({ processesMax: 1 }).truncated).toBe(true);
    link.close();
  });

  it('finds pins and what they are', () => {
    const link = object.program('on_raw_tp').attach();
    link.pin(join(folder, 'link'));
    object.map('counts').pin(join(folder, 'counts'));
    object.program('on_xdp').pin(join(folder, 'program'));
    const { pins, truncated } = listPins();
    expect(truncated).toBe(false);
    expect(pins).toEqual(
      expect.arrayContaining([
        { path: join(folder, 'link'), kind: 'link', id: link.id },
        { path: join(folder, 'counts'), kind: 'map', id: object.map('counts').id },
        { path: join(folder, 'program'), kind: 'program', id: object.program('on_xdp').id },
      ]),
    );
    expect(listPins({ entriesMax: 1 }).truncated).toBe(true);
    link.detach();
  });
});

it('reads bpffs mounts, also of strange names', () => {
  const mountinfo = [
    '24 1 0:22 / /sys rw,nosuid shared:7 - sysfs sysfs rw',
    '36 25 0:32 / /sys/fs/bpf rw,nosuid shared:9 - bpf bpf rw,mode=700',
    '99 25 0:33 / /mnt/a\\040b\\134 rw - bpf none rw',
    '99 25 0:33 / /mnt/bpf rw - tmpfs bpf rw',
    '',
  ].join('\n');
  expect(bpffsMounts(mountinfo)).toEqual(['/sys/fs/bpf', '/mnt/a b\\']);
});

it('counts processes that it may not look into, and survives hostile names', () => {
  const proc = mkdtempSync(join(tmpdir(), 'node-libbpf-proc-'));
  for (const pid of ['7', '8', '9']) mkdirSync(join(proc, pid, 'fdinfo'), { recursive: true });
  mkdirSync(join(proc, '7', 'fd'));
  symlinkSync('anon_inode:bpf-map', join(proc, '7', 'fd', '3'));
  symlinkSync('/tmp/bpf-map', join(proc, '7', 'fd', '4'));
  symlinkSync('anon_inode:[btf]', join(proc, '7', 'fd', '5'));
  writeFileSync(join(proc, '7', 'fdinfo', '3'), 'pos:\t0\nmap_id:\t42\n');
  writeFileSync(join(proc, '7', 'fdinfo', '5'), 'btf_id:\t3\n');
  writeFileSync(join(proc, '7', 'comm'), 'evil\nmap_id: 1\u001b[31m\n');
  mkdirSync(join(proc, '8', 'fd'));
  symlinkSync('anon_inode:bpf-map', join(proc, '8', 'fd', '3'));
  writeFileSync(join(proc, '9', 'fd'), 'not a folder');
  try {
    const owners = findOwners({}, proc);
    expect(owners.of('map', 42)).toEqual([{ pid: 7, comm: 'evil\nmap_id: 1\u001b[31m' }]);
    expect(owners.of('btf', 3).length).toBe(1);
    expect(owners.of('map', 1)).toEqual([]);
  } finally {
    rmSync(proc, { recursive: true });
  }
});
