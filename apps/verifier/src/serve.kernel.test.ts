import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { parseElf } from '@bpfleet/btf';
import { describeWithKernel } from '@bpfleet/testkit';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { compile, GOOD, MIXED, RELOCATED, TYPES } from './testing/objects.js';

// The process itself is under test, as built.
const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));

describeWithKernel('the verifier that serves', ['root'], () => {
  let folder: string;
  let verifier: ChildProcessByStdio<Writable, Readable, null>;
  let answers: AsyncIterator<string>;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'verifier-serve-'));
    const env = { ...process.env, TMPDIR: folder };
    verifier = spawn(process.execPath, [main, '--serve'], { stdio: ['pipe', 'pipe', 'inherit'], env });
    answers = createInterface({ input: verifier.stdout })[Symbol.asyncIterator]();
  });
  afterEach(async () => {
    if (verifier.exitCode === null && verifier.signalCode === null) {
      verifier.kill('SIGKILL');
      await once(verifier, 'close');
    }
    rmSync(folder, { recursive: true, force: true });
  });

  async function ask(request: unknown): Promise<unknown> {
    verifier.stdin.write(`${typeof request === 'string' ? request : JSON.stringify(request)}\n`);
    return JSON.parse((await answers.next()).value as string);
  }

  it('says what this kernel can do, between objects', async () => {
    const asked = (await ask({ features: true })) as { kernelCan: Record<string, Record<string, string>> };
    expect(asked.kernelCan).toMatchObject({
      programTypes: { tracepoint: 'yes' },
      mapTypes: { array: 'yes' },
      features: { tcx: expect.stringMatching(/^(yes|no|unknown)$/) },
    });
    expect(await ask({ objectBase64: compile(GOOD) })).toMatchObject({ verdict: 'accepted' });
  });

  const descriptors = () =>
    readdirSync(`/proc/${verifier.pid}/fd`)
      .map((fd) => readlinkSync(`/proc/${verifier.pid}/fd/${fd}`))
      .sort();

  it('judges one request after the other and keeps nothing of any: no descriptor, no file', async () => {
    const [good, mixed, relocated] = [compile(GOOD), compile(MIXED), compile(RELOCATED)];
    const bytes = parseElf(Buffer.from(compile(TYPES), 'base64')).section('.BTF')?.data ?? new Uint8Array(0);
    const btfBase64 = Buffer.from(bytes).toString('base64');
    const round = async () => {
      expect(await ask({ objectBase64: good })).toMatchObject({ verdict: 'accepted', programs: [{ name: 'counts' }] });
      const log = expect.stringContaining('invalid access to packet');
      const refused = { name: 'out_of_bounds', verdict: 'refused', log };
      expect(await ask({ objectBase64: mixed })).toMatchObject({ programs: [{ verdict: 'accepted' }, refused, {}] });
      // What one was relocated by is not what the next is.
      expect(await ask({ objectBase64: relocated, btfBase64 })).toMatchObject({ verdict: 'accepted' });
      expect(await ask({ objectBase64: relocated })).toMatchObject({ verdict: 'refused' });
      expect(await ask('not json')).toMatchObject({ error: { code: 'REQUEST_INVALID' } });
      expect(await ask({ objectBase64: 'AAAA' })).toMatchObject({ error: { code: 'OBJECT_INVALID' } });
      const globals = { '.rodata': 'AA==' };
      expect(await ask({ objectBase64: good, globals })).toMatchObject({ error: { code: 'GLOBALS_INVALID' } });
      const programs = { nothing: { autoload: true } };
      expect(await ask({ objectBase64: good, programs })).toMatchObject({ error: { code: 'UNKNOWN_NAME' } });
    };
    await round();
    const held = descriptors();
    expect(held.filter((name) => /bpf|btf/.test(name))).toEqual([]);
    await round();
    expect(descriptors()).toEqual(held);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('answers a request that is too large, and the next', async () => {
    const piece = Buffer.alloc(11 * 1024 * 1024, ' ');
    for (let times = 0; times < 3; times++) verifier.stdin.write(piece);
    expect(await ask('')).toMatchObject({ error: { code: 'REQUEST_TOO_LARGE' } });
    expect(await ask({ objectBase64: compile(GOOD) })).toMatchObject({ verdict: 'accepted' });
  });

  it('ends when its input does', async () => {
    verifier.stdin.end();
    expect(await once(verifier, 'close')).toEqual([0, null]);
  });
});
