// `npm test`: sets everything up, builds, runs every test that this machine can run, and says what it could not.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrap, repositoryDir } from './bootstrap.mjs';
import { buildAll } from './build.mjs';
import { Refusal, say } from './say.mjs';
import { counts, skippedTests, summaryLine } from './test-summary.mjs';

const resultFile = join(repositoryDir, '.cache/test-result.json');

/** @param {string[]} args passed on to jest */
function runJest(args) {
  mkdirSync(join(repositoryDir, '.cache'), { recursive: true });
  rmSync(resultFile, { force: true });
  const flags = '--experimental-vm-modules --disable-warning=ExperimentalWarning';
  const jest = join(repositoryDir, 'node_modules/jest/bin/jest.js');
  spawnSync(process.execPath, [jest, '--json', `--outputFile=${resultFile}`, '--passWithNoTests', ...args], {
    cwd: repositoryDir,
    env: { ...process.env, NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} ${flags}`.trim() },
    // With --json jest repeats the whole result on standard output; people read standard error.
    stdio: ['inherit', 'ignore', 'inherit'],
  });
  try {
    return JSON.parse(readFileSync(resultFile, 'utf8'));
  } catch {
    throw new Refusal('jest ended without a result; see above.');
  }
}

/**
 * @param {string[]} args
 * @returns {Promise<{ passed: number, failed: number, skipped: number }>}
 */
async function test(args) {
  bootstrap({ tests: true });
  await buildAll();
  const result = runJest(args);
  const numbers = counts(result);
  const skipped = skippedTests(result);
  for (const { name, needs } of skipped) say(`skipped: ${name} (${needs ? `needs ${needs}` : 'no reason given'})`);
  const unexplained = skipped.filter(({ needs }) => needs === undefined).length;
  // A test may be skipped for a capability the machine lacks and for nothing else; a chosen subset skips by choice.
  if (unexplained > 0 && args.length === 0) {
    say(`${unexplained} skipped without naming a capability: each counts as failed`);
    return { ...numbers, failed: numbers.failed + unexplained, skipped: numbers.skipped - unexplained };
  }
  return numbers;
}

/** @type {{ passed: number, failed: number, skipped: number }} */
let numbers = { passed: 0, failed: 1, skipped: 0 };
try {
  numbers = await test(process.argv.slice(2));
} catch (error) {
  say(error instanceof Refusal ? error.message : String(/** @type {Error} */ (error).stack ?? error));
}
process.stdout.write(`${summaryLine(numbers)}\n`, () => process.exit(numbers.failed === 0 ? 0 : 1));
