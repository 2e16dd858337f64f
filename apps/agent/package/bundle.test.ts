import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';

const repositoryDir = fileURLToPath(new URL('../../../', import.meta.url));
/** In a process of its own: esbuild does not know the typed arrays of jest's realm. */
const SCRIPT = `
const { bundleAgent } = await import(process.argv[1]);
process.stdout.write(JSON.stringify(await bundleAgent({ repositoryDir: process.argv[2], entry: 'apps/agent/src/main.ts' })));
`;

function bundle(): string {
  const bundler = fileURLToPath(new URL('./bundle.mjs', import.meta.url));
  const args = ['--input-type=module', '-e', SCRIPT, bundler, repositoryDir];
  return execFileSync(process.execPath, args, { encoding: 'utf8', maxBuffer: 64 << 20 });
}

it('is the same bytes each time, names no folder of this machine, and brings the licences of what is inside', () => {
  const first = bundle();
  expect(bundle() === first).toBe(true);
  const { code, licences } = JSON.parse(first) as { code: string; licences: string };
  expect(code.includes(repositoryDir) || licences.includes(repositoryDir)).toBe(false);
  expect(code.length).toBeGreaterThan(100_000);
  expect(licences).toMatch(/^mqtt \d[\d.]* \(MIT\)$/m);
});
