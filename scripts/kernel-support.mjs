// docs/kernel-support.md: what was seen on each kernel that tests run on. Its facts are docs/kernel-support.json, which tests
// write; nothing here knows what a kernel should have.
//
//   node scripts/kernel-support.mjs                  writes the page from the facts
//   node scripts/kernel-support.mjs --check          says whether it is what the facts say
//   node scripts/kernel-support.mjs --this-machine   tries everything on the kernel that runs here first (root)
//
// `npm run test:vm -- --write-support` does it for the kernels of the VMs.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Refusal, runScript, say } from './say.mjs';
import { supportPage, supportRow } from './kernel-support-page.mjs';

/** @typedef {import('./kernel-support-page.mjs').SupportRow} SupportRow */

const repositoryDir = dirname(dirname(fileURLToPath(import.meta.url)));
const factsFile = join(repositoryDir, 'docs/kernel-support.json');
const pageFile = join(repositoryDir, 'docs/kernel-support.md');

/** @returns {SupportRow[]} */
function readRows() {
  return JSON.parse(readFileSync(factsFile, 'utf8')).kernels;
}

/** Puts rows in the place of those of the same kernels, and writes facts and page. @param {SupportRow[]} rows */
function keep(rows) {
  const names = new Set(rows.map(({ kernel }) => kernel));
  const others = readRows().filter(({ kernel }) => !names.has(kernel));
  const kernels = [...others, ...rows].sort((a, b) => a.kernel.localeCompare(b.kernel, 'en', { numeric: true }));
  writeFileSync(factsFile, `${JSON.stringify({ format: 1, kernels }, null, 1)}\n`);
  writeFileSync(pageFile, supportPage(kernels));
}

/** What VM tests recorded: lines of `{"kernel", "check"}`. @param {string} jsonLines */
export function keepRecorded(jsonLines) {
  const lines = jsonLines.split('\n').filter((line) => line !== '');
  const rows = lines.map((line) => JSON.parse(line)).map(({ kernel, check }) => supportRow(kernel, check));
  keep(rows);
  say(`docs/kernel-support: ${rows.map(({ kernel }) => kernel).join(', ')}`);
}

function tryHere() {
  const fixtures = join(repositoryDir, 'libs/node-libbpf/fixtures');
  const objects = mkdtempSync(join(tmpdir(), 'kernel-support-'));
  try {
    execFileSync(process.execPath, [join(fixtures, 'build-objects.mjs'), objects], { stdio: 'inherit' });
    // A network namespace of its own: one XDP program more on the loopback is in nobody's way there.
    const program = [process.execPath, '--no-deprecation', join(fixtures, 'support-check.mjs'), objects];
    const command = ['--net', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh', ...program];
    const check = JSON.parse(execFileSync('unshare', command, { encoding: 'utf8', maxBuffer: 16 << 20 }));
    // Only the first network namespace shows it.
    check.report.settings.jitEnabled ??= Number(readFileSync('/proc/sys/net/core/bpf_jit_enable', 'utf8'));
    return check;
  } finally {
    rmSync(objects, { recursive: true });
  }
}

/** @param {readonly string[]} args */
function main(args) {
  const [option, ...rest] = args;
  if (rest.length > 0 || !['--check', '--this-machine', undefined].includes(option))
    throw new Refusal('usage: kernel-support.mjs [--check | --this-machine]');
  if (option === '--this-machine') {
    const check = tryHere();
    const series = /^\d+\.\d+/.exec(check.report.release)?.[0];
    return keep([supportRow(`${check.userLand}-${series}`, check)]);
  }
  if (option === undefined) return keep([]);
  if (readFileSync(pageFile, 'utf8') !== supportPage(readRows()))
    throw new Refusal(
      'docs/kernel-support.md is not what docs/kernel-support.json says: run node scripts/kernel-support.mjs',
    );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await runScript(async () => main(process.argv.slice(2)));
