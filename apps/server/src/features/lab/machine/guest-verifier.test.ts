import { describe, expect, it } from '@jest/globals';
import type { ExecOptions, ExecResult } from '@bpfleet/vm';
import { GuestVerifier } from './guest-verifier.js';

const report = { kernel: { release: '6', arch: 'a', buildId: null, btf: true, jit: null, lsm: null } };
const accepted = { ...report, verdict: 'accepted', loadMs: 1, programs: [], maps: [] };
const line = (answer: unknown) => `${JSON.stringify(answer)}\n`;
const never = new AbortController().signal;
const LONG_MS = 60_000;

/** One process of the guest, as a test plays it. */
class Process {
  readonly requests: string[] = [];
  killedBy: unknown;
  end: (how: { code: number | null; signal: string | null }) => void = () => undefined;
  fail: (error: Error) => void = () => undefined;

  constructor(
    private readonly options: ExecOptions,
    private readonly onRequest: (process: Process, request: string) => void,
  ) {
    void this.read();
    options.signal?.addEventListener('abort', () => (this.killedBy = options.signal?.reason));
  }

  say(text: string, stream: 'stdout' | 'stderr' = 'stdout'): void {
    this.options.onOutput?.(stream, Buffer.from(text));
  }

  private async read(): Promise<void> {
    for await (const chunk of this.options.input as AsyncIterable<Uint8Array>) {
      const request = Buffer.from(chunk).toString('utf8');
      this.requests.push(request);
      this.onRequest(this, request);
    }
  }
}

function guest(onRequest: (process: Process, request: string) => void) {
  const processes: Process[] = [];
  const commands: string[] = [];
  let aftermath: Error | undefined;
  const exec = (argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> => {
    const result = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0), truncated: false };
    commands.push(argv.join(' '));
    if (options.input === undefined)
      return aftermath ? Promise.reject(aftermath) : Promise.resolve({ ...result, code: 0, signal: null });
    const process = new Process(options, onRequest);
    processes.push(process);
    return new Promise((resolve, reject) => {
      process.end = (how) => resolve({ ...result, ...how });
      process.fail = reject;
      options.signal?.addEventListener('abort', () => reject(options.signal?.reason as Error));
    });
  };
  const goesDownAfter = (error: Error) => (aftermath = error);
  return { verifier: new GuestVerifier({ exec }), processes, commands, goesDownAfter };
}

describe('the verifier of a VM', () => {
  it('is one process for all requests, each a line, and reads its answers however they come in', async () => {
    const { verifier, processes } = guest((process) => {
      const answer = line(accepted);
      process.say(answer.slice(0, 10));
      process.say(answer.slice(10));
    });
    verifier.start();
    expect(await verifier.ask({ n: 1 }, LONG_MS, never)).toEqual(accepted);
    expect(await verifier.ask({ n: 2 }, LONG_MS, never)).toEqual(accepted);
    expect(processes.map(({ requests }) => requests)).toEqual([['{"n":1}\n', '{"n":2}\n']]);
  });

  it('is asked by the same process what the kernel can do, and believes no list that is none', async () => {
    const kernelCan = { programTypes: { xdp: 'yes' }, mapTypes: {}, features: { tcx: 'no' } };
    const answers: unknown[] = [{ kernelCan }, { kernelCan: { ...kernelCan, features: { tcx: 'perhaps' } } }];
    const { verifier, processes } = guest((process) => process.say(line(answers.shift())));
    expect(await verifier.features(LONG_MS, never)).toEqual({ kernelCan });
    await expect(verifier.features(LONG_MS, never)).rejects.toMatchObject({ reason: 'report' });
    expect(processes.map(({ requests }) => requests)).toEqual([['{"features":true}\n', '{"features":true}\n']]);
  });

  it('stays when it refuses a request', async () => {
    const refusal = { error: { code: 'REQUEST_TOO_LARGE', message: 'the request has more than 7 bytes' } };
    const { verifier, processes } = guest((process, request) =>
      process.say(line(request.includes('big') ? refusal : accepted)),
    );
    await expect(verifier.ask({ big: 1 }, LONG_MS, never)).rejects.toMatchObject({
      reason: 'request',
      message: 'the request has more than 7 bytes',
    });
    expect(await verifier.ask({}, LONG_MS, never)).toEqual(accepted);
    expect(processes).toHaveLength(1);
  });

  it('breaks down over the request that it was asked, with its last words, and the next gets a new one', async () => {
    const { verifier, processes } = guest((process, request) => {
      if (!request.includes('bad')) return process.say(line(accepted));
      process.say('libbpf: oh\n', 'stderr');
      process.end({ code: null, signal: 'SIGSEGV' });
    });
    expect(await verifier.ask({}, LONG_MS, never)).toEqual(accepted);
    await expect(verifier.ask({ bad: 1 }, LONG_MS, never)).rejects.toMatchObject({
      reason: 'crash',
      message: 'the verifier broke down (SIGSEGV)',
      output: 'libbpf: oh\n',
    });
    expect(await verifier.ask({}, LONG_MS, never)).toEqual(accepted);
    expect(processes.map(({ requests }) => requests.length)).toEqual([2, 1]);
  });

  it('is not what broke down when its kernel goes down just after', async () => {
    const panic = Object.assign(new Error('panicked'), { code: 'VM_PANIC' });
    const { verifier, goesDownAfter } = guest((process) => process.end({ code: null, signal: 'SIGKILL' }));
    goesDownAfter(panic);
    await expect(verifier.ask({}, LONG_MS, never)).rejects.toBe(panic);
  });

  it('that ended between two requests concerns neither', async () => {
    const { verifier, processes } = guest((process) => process.say(line(accepted)));
    await verifier.ask({}, LONG_MS, never);
    processes[0]?.end({ code: 1, signal: null });
    await new Promise((resolve) => setImmediate(resolve));
    expect(await verifier.ask({}, LONG_MS, never)).toEqual(accepted);
    expect(processes).toHaveLength(2);
  });

  it('is killed when it takes too long or is to stop, and the next gets a new one', async () => {
    const { verifier, processes } = guest((process, request) => {
      if (!request.includes('hang')) process.say(line(accepted));
    });
    await expect(verifier.ask({ hang: 1 }, 1, never)).rejects.toMatchObject({ failure: 'timeout' });
    const stop = new AbortController();
    const stopped = verifier.ask({ hang: 2 }, LONG_MS, stop.signal);
    stop.abort(new Error('stop'));
    await expect(stopped).rejects.toThrow('stop');
    await expect(verifier.ask({}, LONG_MS, stop.signal)).rejects.toThrow('stop');
    expect(await verifier.ask({}, LONG_MS, never)).toEqual(accepted);
    expect(processes.map(({ killedBy }) => killedBy === undefined)).toEqual([false, false, true]);
  });

  it.each([
    ['says more than was asked for', (process: Process) => process.say(`${line(accepted)}${line(accepted)}`)],
    ['says too much', (process: Process) => process.say('x'.repeat(17 * 1024 * 1024))],
  ])('is not believed when it %s', async (_, act) => {
    const { verifier, processes } = guest((process, request) =>
      request.includes('odd') ? act(process) : process.say(line(accepted)),
    );
    await expect(verifier.ask({ odd: 1 }, LONG_MS, never)).rejects.toMatchObject({ reason: 'report' });
    expect(await verifier.ask({}, LONG_MS, never)).toEqual(accepted);
    expect(processes).toHaveLength(2);
  });

  it('is not believed again when it speaks unasked', async () => {
    const { verifier, processes } = guest((process) => process.say(line(accepted)));
    await verifier.ask({}, LONG_MS, never);
    processes[0]?.say(line(accepted));
    expect(processes[0]?.killedBy).toBeInstanceOf(Error);
    expect(await verifier.ask({}, LONG_MS, never)).toEqual(accepted);
    expect(processes).toHaveLength(2);
  });

  it('fails what is asked as its VM does', async () => {
    const gone = Object.assign(new Error('the VM has ended'), { name: 'VmError', code: 'VM_EXITED' });
    const { verifier } = guest((process) => process.fail(gone));
    await expect(verifier.ask({}, LONG_MS, never)).rejects.toBe(gone);
  });
});
