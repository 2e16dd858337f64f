import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { FixtureCompiler, makePinFolder, mountTracefs } from '../fixtures/compile.js';
import { eventually } from '../fixtures/eventually.js';
import type { BpfObject } from './index.js';
import { BpfMap, droppedHandles, Link, listLinks, openObject, PerfEventLink, Program } from './index.js';

const addon = fileURLToPath(new URL('../build/Release/bpf.node', import.meta.url));

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

describeWithKernel('lifetimes', ['root'], () => {
  let compiler: FixtureCompiler;
  let bytes: Buffer;
  let folder: string;
  let objectFile: string;

  beforeAll(() => {
    mountTracefs();
    compiler = new FixtureCompiler();
    bytes = compiler.compile('attach_kinds');
    objectFile = join(tmpdir(), `node-libbpf-${process.pid}-attach_kinds.o`);
    writeFileSync(objectFile, bytes);
  });
  afterAll(() => {
    compiler.close();
    rmSync(objectFile, { force: true });
  });
  beforeEach(() => {
    folder = makePinFolder();
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function load(): BpfObject {
    const spec = openObject(bytes);
    for (const program of spec.programs) program.autoload = program.name === 'on_tracepoint';
    spec.global('target_pid').set(process.pid);
    return spec.load();
  }

  function countOf(map: BpfMap): number {
    return Number(map.lookup(Buffer.alloc(4))?.readBigUInt64LE(0) ?? 0n);
  }

  function getuid(times: number): void {
    for (let i = 0; i < times; i++) process.getuid?.();
  }

  it('a pinned run goes on without its handles and can be adopted', () => {
    const object = load();
    const link = object.program('on_tracepoint').attach();
    const id = link.id;
    link.pin(join(folder, 'link'));
    object.program('on_tracepoint').pin(join(folder, 'program'));
    object.map('counts').pin(join(folder, 'counts'));
    expect(() => object.map('stacks').pin(join(folder, 'counts'))).toThrow(
      expect.objectContaining({ code: 'BPF_PIN', errnoName: 'EEXIST' }),
    );
    link.close();
    object.close();
    getuid(4);

    const counts = BpfMap.openPinned(join(folder, 'counts'));
    expect(counts.name).toBe('counts');
    expect(countOf(counts)).toBe(4);
    const program = Program.openPinned(join(folder, 'program'));
    expect(program.info().name).toBe('on_tracepoint');
    expect(() => program.attach()).toThrow(expect.objectContaining({ code: 'BPF_ARGUMENT' }));
    const adopted = Link.openPinned(join(folder, 'link'));
    const target = { event: 'tracepoint', tracepoint: 'sys_enter_getuid' };
    expect(adopted.info()).toEqual({ id, type: 'perf_event', programId: program.id, target });
    expect(adopted).toBeInstanceOf(PerfEventLink);

    // An adopted pinned link survives its handle as well.
    adopted.close();
    getuid(1);
    expect(countOf(counts)).toBe(5);
    const last = Link.openPinned(join(folder, 'link'));
    last.detach();
    expect(existsSync(join(folder, 'link'))).toBe(false);
    getuid(5);
    expect(countOf(counts)).toBe(5);
    expect(listLinks().some((entry) => entry.id === id)).toBe(false);

    program.unpin();
    program.close();
    counts.unpin();
    counts.close();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('unpinning leaves attached until the handle is closed', () => {
    const object = load();
    const link = object.program('on_tracepoint').attach();
    link.pin(join(folder, 'link'));
    link.unpin();
    expect(() => link.unpin()).toThrow('not pinned');
    getuid(2);
    link.close();
    getuid(2);
    expect(countOf(object.map('counts'))).toBe(2);
    object.close();
  });

  it('opens a pin only as what it is', () => {
    const object = load();
    object.map('counts').pin(join(folder, 'counts'));
    expect(() => Link.openPinned(join(folder, 'counts'))).toThrow('EMEDIUMTYPE');
    expect(() => Program.openPinned(join(folder, 'counts'))).toThrow('EMEDIUMTYPE');
    expect(() => BpfMap.openPinned(join(folder, 'nothing'))).toThrow('ENOENT');
    expect(() => BpfMap.openPinned('')).toThrow(expect.objectContaining({ code: 'BPF_ARGUMENT' }));
    object.close();
  });

  it('takes a compatible map that is already pinned where the spec pins', () => {
    const first = openObject(bytes);
    first.map('counts').pinPath = join(folder, 'counts');
    for (const program of first.programs) program.autoload = false;
    const loaded = first.load();
    const second = openObject(bytes);
    second.map('counts').pinPath = join(folder, 'counts');
    for (const program of second.programs) program.autoload = false;
    const again = second.load();
    expect(again.map('counts').id).toBe(loaded.map('counts').id);
    again.map('counts').unpin();
    loaded.close();
    again.close();
  });

  it('leaves no descriptor behind over many rounds', () => {
    const openFds = () => readdirSync('/proc/self/fd').length;
    load().close();
    const before = openFds();
    for (let round = 0; round < 50; round++) {
      const object = load();
      const link = object.program('on_tracepoint').attach();
      if (round % 2 === 0) {
        link.pin(join(folder, `link${round}`));
        link.close();
        Link.openPinned(join(folder, `link${round}`)).detach();
      }
      link.close();
      object.close();
      openObject(bytes).close();
    }
    expect(openFds()).toBe(before);
  });

  it('releases and counts what was dropped while open', async () => {
    const before = droppedHandles();
    let id: number | undefined;
    const drop = () => {
      id = load().program('on_tracepoint').attach().id;
    };
    drop();
    expect(listLinks().some((entry) => entry.id === id)).toBe(true);
    await eventually(collectGarbage, () => !listLinks().some((entry) => entry.id === id), 500);
    expect(droppedHandles()).toBeGreaterThan(before);
  });

  const openAndLeave = `
    const native = require(${JSON.stringify(addon)});
    const object = native.openObject(require('node:fs').readFileSync(process.env.OBJECT), 'left', undefined);
    object.programs().forEach((program, index) => object.setAutoload(index, program.name === 'on_tracepoint'));
    if (object.load(0, 4096).error !== 0) throw new Error('not loaded');
    globalThis.kept = [object, object.attach(0), object.openMap(0), native.openObject(Buffer.from('junk'), 'x', undefined)];
  `;

  it('ends a process cleanly with handles open', () => {
    const ended = spawnSync(process.execPath, ['-e', openAndLeave], { env: { ...process.env, OBJECT: objectFile } });
    expect([ended.status, ended.stderr.toString()]).toEqual([0, '']);
  });

  it('serves worker threads beside the main thread, and outlives them', async () => {
    const workers = [1, 2].map(
      () => new Worker(openAndLeave, { eval: true, env: { ...process.env, OBJECT: objectFile } }),
    );
    const object = load();
    const codes = await Promise.all(
      workers.map((worker) => new Promise<number>((resolve, reject) => worker.on('exit', resolve).on('error', reject))),
    );
    expect(codes).toEqual([0, 0]);
    const link = object.program('on_tracepoint').attach();
    getuid(1);
    expect(countOf(object.map('counts'))).toBe(1);
    link.close();
    object.close();
  });

  it('native methods refuse a foreign receiver and foreign arguments', () => {
    const script = `
      const native = require(${JSON.stringify(addon)});
      const ring = new native.NativeRing();
      const attempts = [
        () => native.NativeRing.prototype.drain.call({}, Buffer.alloc(8), new BigUint64Array(4)),
        () => ring.drain(Buffer.alloc(8), new BigUint64Array(4)),
        () => ring.open('3'),
        () => native.openObject({}, 1, 2),
        () => native.openPinned(),
        () => native.nextId('map'),
        () => Reflect.construct(native.NativeRing, [{}]).commit(1),
      ];
      const refused = attempts.filter((attempt) => { try { attempt(); return false; } catch { return true; } });
      if (ring.open(1) >= 0) throw new Error('a pipe is no ring');
      process.exitCode = refused.length === attempts.length ? 0 : 1;
    `;
    const ended = spawnSync(process.execPath, ['-e', script]);
    expect([ended.status, ended.stderr.toString()]).toEqual([0, '']);
  });
});
