import { beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const script = fileURLToPath(new URL('../fuzz/run.mjs', import.meta.url));
const buildMsMax = 600_000;
const runMsMax = 120_000;

interface Summary {
  rounds: number;
  outcomes: Record<string, number>;
  undefinedBehaviour: Record<string, string>;
  findings: unknown[];
}

async function fuzz(...options: string[]): Promise<string> {
  try {
    return (await promisify(execFile)(process.execPath, [script, ...options])).stdout;
  } catch (error) {
    // It exits with 1 when it found something, and has said what.
    const { stdout } = error as { stdout?: string };
    if (stdout === undefined || stdout === '') throw error;
    return stdout;
  }
}

const summary = async (...options: string[]) => JSON.parse(await fuzz(...options)) as Summary;

// A glance: the long run is the same command with more rounds (README).
describeWithKernel('fuzzing', ['clang', 'btf', 'bpftool', 'sanitizers'], () => {
  // Builds libbpf, libelf and the addon with sanitizers where the cache has none, and compiles the objects to start from.
  beforeAll(() => fuzz('--digest', '--rounds', '1'), buildMsMax);

  it('makes the same inputs of the same seed', async () => {
    const digests = await Promise.all(
      ['1', '1', '2'].map((seed) => fuzz('--digest', '--rounds', '40', '--seed', seed)),
    );
    expect(digests[0]).toMatch(/^[0-9a-f]{64}\n$/);
    expect(digests[1]).toBe(digests[0]);
    expect(digests[2]).not.toBe(digests[0]);
  }, 60_000);

  it(
    'finds no malformed object that ends the process',
    async () => {
      const { rounds, outcomes, undefinedBehaviour, findings } = await summary('--rounds', '1500', '--seconds', '20');
      expect({ undefinedBehaviour, findings }).toEqual({ undefinedBehaviour: {}, findings: [] });
      expect(rounds).toBeGreaterThan(50);
      // What is refused at once tests nothing but the check.
      expect(outcomes['object loaded']).toBeGreaterThan(rounds / 10);
    },
    runMsMax,
  );

  it(
    'finds no call that ends the process',
    async () => {
      const options = ['--target', 'calls', '--rounds', '150', '--seconds', '12'];
      const { outcomes, undefinedBehaviour, findings } = await summary(...options);
      expect({ undefinedBehaviour, findings }).toEqual({ undefinedBehaviour: {}, findings: [] });
      expect(outcomes['threw']).toBeGreaterThan(20);
      expect(outcomes['returned']).toBeGreaterThan(20);
    },
    runMsMax,
  );
});
