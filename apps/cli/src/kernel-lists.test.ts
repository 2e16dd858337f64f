import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Kernel } from '@bpfleet/api';
import { ContractServer } from './testing/contract-server.js';
import { buildCli, runCli } from './testing/run-cli.js';

const server = new ContractServer();
let url = '';

beforeAll(async () => {
  await buildCli();
  url = await server.start();
});
afterAll(() => server.stop());

const cli = (...args: string[]) => runCli(args, { env: { BPFLEET_SERVER: url, BPFLEET_TOKEN: 'bpft_test' } });

const kernel: Kernel = {
  id: 'a'.repeat(64),
  kernelRelease: '6.1.0-50-arm64\u001b[31m',
  kernelArch: 'arm64',
  kernelBuildId: 'ab'.repeat(20),
  userBits: 32,
  jit: 'on',
  lsm: [],
  pageBytes: 4096,
  devices: 3,
  btf: { state: 'known', digest: 'b'.repeat(64), reason: null, receivedBytes: null, totalBytes: null },
};

describe('bpfleet kernels list', () => {
  it('shows each kernel with the state of its types, and what to do where there are none', async () => {
    const states: Kernel['btf'][] = [
      kernel.btf,
      { ...kernel.btf, state: 'fetching', receivedBytes: 1_000, totalBytes: 4_000 },
      { ...kernel.btf, state: 'refused', reason: 'it is damaged' },
      { ...kernel.btf, state: 'missing', digest: null },
    ];
    server.answers = { listKernels: () => ({ items: states.map((btf) => ({ ...kernel, btf })) }) };
    const { stdout, exitCode } = await cli('kernels', 'list');
    expect(exitCode).toBe(0);
    expect(stdout).not.toContain('\u001b');
    for (const text of [
      'arm64/32',
      'its own',
      'fetching, 25 %',
      'refused (it is damaged)',
      'none',
      'bpfleet btf add',
    ]) {
      expect(stdout).toContain(text);
    }
    expect(JSON.parse((await cli('kernels', 'list', '--json')).stdout).items).toHaveLength(4);
  });
});

describe('bpfleet btf list', () => {
  it('shows where each came from and what it is for', async () => {
    const base = { bytes: 4_400_000, pointerBits: 32, createdAt: '2026-05-01T10:00:00.000Z', devices: 2 };
    server.answers = {
      listBtf: () => ({
        items: [
          {
            ...base,
            digest: 'c'.repeat(64),
            source: 'admin',
            addedBy: 'kari',
            builds: [{ buildId: 'ab'.repeat(20), kernelRelease: '6.1.0-50-armmp', kernelArch: 'arm' }],
          },
          { ...base, digest: 'd'.repeat(64), source: 'device', addedBy: 'd0001a7c2f9', builds: [] },
        ],
      }),
    };
    const { stdout } = await cli('btf', 'list');
    for (const text of ['cccccccccccc', '4.2 MiB', 'kari', '6.1.0-50-armmp:abababababab', 'device d0001a7c2f9']) {
      expect(stdout).toContain(text);
    }
  });
});
