import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { FixtureCompiler } from '../fixtures/compile.js';
import { BpfMap, openObject } from './index.js';

const addon = fileURLToPath(new URL('../build/Release/bpf.node', import.meta.url));

// Calls native methods, some of which fail, again and again: each makes values, or an error to be thrown, in JavaScript. A
// worker that is being terminated takes neither, and the exception that said so went through C and ended the process.
const failForever = `
const { parentPort, workerData } = require('node:worker_threads');
const native = require(workerData.addon);
parentPort.postMessage('running');
for (;;) {
  try { native.createMap(1); } catch {}
  const object = native.openObject(Buffer.from(workerData.bytes), 'x', undefined);
  object.maps();
  object.close();
}`;

describeWithKernel('misuse', ['root'], () => {
  let compiler: FixtureCompiler;

  beforeAll(() => {
    compiler = new FixtureCompiler();
  });
  afterAll(() => compiler.close());

  it('leaves the memory of global data as libbpf laid it out', () => {
    // With another size, load() would map the kernel's pages over what lies behind, and close() unmap it.
    const spec = openObject(compiler.compile('ring'));
    const bss = spec.map('.bss');
    const refused = expect.objectContaining({ code: 'BPF_ARGUMENT' });
    expect(() => (bss.maxEntries = 4096)).toThrow(refused);
    expect(() => (bss.type = 'hash')).toThrow(refused);
    expect(() => (bss.type = 'arena')).toThrow(refused);
    expect(() => (spec.map('events').type = 'struct_ops')).toThrow(refused);
    const larger = BpfMap.create({ type: 'array', keyBytes: 4, valueBytes: bss.valueBytes, maxEntries: 4096 });
    expect(() => bss.reuse(larger)).toThrow(refused);
    larger.close();
    const object = spec.load();
    expect(object.map('.bss').maxEntries).toBe(1);
    object.close();
  });

  it('leaves struct_ops maps as they are', () => {
    const spec = openObject(compiler.compile('congestion'));
    const steady = spec.map('steady');
    const refused = expect.objectContaining({ code: 'BPF_ARGUMENT' });
    expect(() => (steady.maxEntries = 2)).toThrow(refused);
    expect(() => (steady.type = 'array')).toThrow(refused);
    expect(() => steady.setSizes({ valueBytes: 1 << 20 })).toThrow(refused);
    expect(steady.initialValue?.length).toBe(steady.valueBytes);
    spec.close();
  });

  it('writes the logs of the programs that libbpf itself leaves out', () => {
    // Without their map, libbpf turns off the autoload of struct_ops programs while it loads.
    const spec = openObject(compiler.compile('congestion'), { verifierLogLevel: 1 });
    for (const map of spec.maps) if (map.type === 'struct_ops') map.autocreate = false;
    const object = spec.load();
    expect(object.programs).toEqual([]);
    expect(object.verifierLog('halve')).toBe('');
    object.close();
  });

  it('lets workers be terminated in the middle of a call', async () => {
    const bytes = compiler.compile('ring');
    for (let round = 0; round < 12; round += 1) {
      const worker = new Worker(failForever, { eval: true, workerData: { addon, bytes } });
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
      expect(await worker.terminate()).toBe(1);
    }
  });
});
