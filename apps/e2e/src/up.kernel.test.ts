import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { repositoryDir } from './stack.js';

const LONG_MS = 240_000;

describeWithKernel('npm run up -- --check', ['bpf', 'tracefs'], () => {
  it(
    'starts everything on free ports, waits for telemetry of this kernel, says what it saw, and leaves',
    async () => {
      const child = spawn(process.execPath, [join(repositoryDir, 'apps/up/dist/main.js'), '--check']);
      let [stdout, stderr] = ['', ''];
      child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
      const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
      expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
      const said = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, number | string>;
      expect(said).toMatchObject({ ok: true, devices: 1, verdict: 'accepted', signature: 'signed' });
      expect(said['samples']).toBeGreaterThan(0);
      expect(said['events']).toBeGreaterThan(0);
      expect(said['runsAttached']).toBeGreaterThan(0);
    },
    LONG_MS,
  );
});
