import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { FixtureCompiler } from '../fixtures/compile.js';
import type { BpfObject } from './index.js';
import { openObject, possibleCpus } from './index.js';

// struct __sk_buff and struct xdp_md as far as they are used (linux/bpf.h): the kernel wants the rest to be zero.
const skBuffBytes = 192;
const skBuffMark = 8;
const skBuffCb1 = 52;
const xdpMdBytes = 24;
const xdpDataEnd = 4;
const xdpIngressIfindex = 12;

describeWithKernel('test runs', ['root', 'bpf', 'btf', 'clang'], () => {
  let object: BpfObject;

  beforeAll(() => {
    const compiler = new FixtureCompiler();
    object = openObject(compiler.compile('test_run'), { verifierLogLevel: 4 }).load();
    compiler.close();
  });
  afterAll(() => object.close());

  it('gives the packet back as the program left it, shorter or longer', () => {
    const data = Buffer.from(Array.from({ length: 100 }, (_, index) => index));
    const shorter = object.program('shrink').testRun({ data });
    expect(shorter).toMatchObject({ returnValue: 2, data: data.subarray(0, 90) });
    expect(shorter.context).toBeUndefined();
    const longer = object.program('grow').testRun({ data });
    expect(longer.returnValue).toBe(2);
    expect(longer.data?.subarray(200)).toEqual(data);
    expect(() => object.program('grow').testRun({ data, dataOutBytesMax: 250 })).toThrow('ENOSPC');
    expect(data[99]).toBe(99);
  });

  it('takes a context of skb and XDP and gives it back', () => {
    const context = Buffer.alloc(skBuffBytes);
    context.writeUInt32LE(21, skBuffMark);
    const skb = object.program('mark').testRun({ data: Buffer.alloc(64), context });
    expect([skb.returnValue, skb.context?.readUInt32LE(skBuffMark), skb.context?.readUInt32LE(skBuffCb1)]).toEqual([
      0xffff_ffff, 42, 7,
    ]);
    expect(context.readUInt32LE(skBuffMark)).toBe(21);
    const xdp = Buffer.alloc(xdpMdBytes);
    xdp.writeUInt32LE(100, xdpDataEnd);
    const result = object.program('shrink').testRun({ data: Buffer.alloc(100), context: xdp });
    expect(result.context?.readUInt32LE(xdpDataEnd)).toBe(90);
  });

  it('runs a raw tracepoint with its arguments, on a CPU of choice', () => {
    const context = Buffer.alloc(16);
    context.writeBigUInt64LE(40n, 0);
    context.writeBigUInt64LE(2n, 8);
    for (let cpu = 0; cpu < Math.min(2, possibleCpus()); cpu++) {
      expect(object.program('where').testRun({ context, cpu })).toEqual({ returnValue: 42, durationNs: 0 });
      expect(object.global('cpu_of_run').get()).toBe(BigInt(cpu));
    }
    expect(() => object.program('where').testRun({ context, cpu: 60_000 })).toThrow('ENXIO');
  });

  it('runs syscall programs, which write into their context, without touching that of the caller', () => {
    const context = Buffer.alloc(16);
    context.writeBigUInt64LE(6n, 0);
    expect(object.program('answer').testRun({ context }).context?.readBigUInt64LE(8)).toBe(7n);
    expect(context.readBigUInt64LE(8)).toBe(0n);
  });

  it('runs socket lookups and flow dissectors', () => {
    const context = Buffer.alloc(72);
    context.writeUInt32LE(2, 8); // AF_INET
    context.writeUInt32LE(6, 12); // TCP
    expect(object.program('lookup').testRun({ context }).returnValue).toBe(0);
    context.writeUInt32LE(80, 60); // local_port
    expect(object.program('lookup').testRun({ context }).returnValue).toBe(1);
    expect(object.program('dissect').testRun({ data: Buffer.alloc(64) }).returnValue).toBe(0);
  });

  it('runs XDP on live frames of an interface', () => {
    const context = Buffer.alloc(xdpMdBytes);
    context.writeUInt32LE(64, xdpDataEnd);
    context.writeUInt32LE(1, xdpIngressIfindex);
    const live = object.program('drop').testRun({ data: Buffer.alloc(64), context, repeat: 100, liveBatchFrames: 8 });
    expect([live.data, live.context]).toEqual([undefined, undefined]);
    expect(object.global('dropped').get()).toBe(100n);
  });

  it('times many runs', () => {
    const { durationNs } = object.program('mark').testRun({ data: Buffer.alloc(64), repeat: 10_000 });
    expect(durationNs).toBeGreaterThan(0);
  });

  it('refuses what makes no sense', () => {
    const program = object.program('mark');
    for (const misuse of [
      () => program.testRun({ data: Buffer.alloc(64), cpu: 0 }),
      () => program.testRun({ data: Buffer.alloc(64), liveBatchFrames: 1 }),
      () => object.program('shrink').testRun({ data: Buffer.alloc(64), liveBatchFrames: 257 }),
      () => program.testRun({ data: Buffer.alloc((1 << 20) + 1) }),
      () => program.testRun({ data: Buffer.alloc(64), context: Buffer.alloc(0x10000) }),
      () => program.testRun({ data: Buffer.alloc(64), dataOutBytesMax: -1 }),
    ]) {
      expect(misuse).toThrow(expect.objectContaining({ code: 'BPF_ARGUMENT' }));
    }
  });

  it('has the verifier’s numbers of a program', () => {
    expect(object.verifierStats('mark')).toMatchObject({
      processedInstructions: expect.any(Number),
      instructionLimit: 1_000_000,
      peakStates: expect.any(Number),
      stackDepthBytes: [0],
    });
    expect(object.verifierStats('nothing')).toEqual({});
  });
});
