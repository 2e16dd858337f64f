// `npm test`: sets everything up, builds, runs every test that this machine can run, and says what it could not.
import { bootstrap } from './bootstrap.mjs';
import { buildAll } from './build.mjs';
import { runJest } from './run-jest.mjs';
import { Refusal, say } from './say.mjs';
import { counts, skippedTests, summaryLine } from './test-summary.mjs';

/** @typedef {{ passed: number, failed: number, skipped: number }} Numbers */

/**
 * @param {string[]} args
 * @returns {Promise<Numbers>}
 */
async function test(args) {
  bootstrap({ tests: true });
  await buildAll();
  // A chosen subset is that alone; everything has the devices in VMs too, which need the machine for themselves.
  if (args.length > 0) return count(runJest(args), true);
  const [host, devices] = [runJest([]), runJest([], { BPFLEET_VM_TESTS: 'devices' })].map((one) => count(one, false));
  return add(/** @type {Numbers} */ (host), /** @type {Numbers} */ (devices));
}

/**
 * @param {Numbers} a
 * @param {Numbers} b
 */
function add(a, b) {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

/**
 * @param {import('./test-summary.mjs').JestResult} result
 * @param {boolean} isChosen
 * @returns {Numbers}
 */
function count(result, isChosen) {
  const numbers = counts(result);
  const skipped = skippedTests(result);
  for (const { name, needs } of skipped) say(`skipped: ${name} (${needs ? `needs ${needs}` : 'no reason given'})`);
  const unexplained = skipped.filter(({ needs }) => needs === undefined).length;
  // A test may be skipped for a capability the machine lacks and for nothing else; a chosen subset skips by choice.
  if (unexplained > 0 && !isChosen) {
    say(`${unexplained} skipped without naming a capability: each counts as failed`);
    return { ...numbers, failed: numbers.failed + unexplained, skipped: numbers.skipped - unexplained };
  }
  return numbers;
}

/** @type {Numbers} */
let numbers = { passed: 0, failed: 1, skipped: 0 };
try {
  numbers = await test(process.argv.slice(2));
} catch (error) {
  say(error instanceof Refusal ? error.message : String(/** @type {Error} */ (error).stack ?? error));
}
process.stdout.write(`${summaryLine(numbers)}\n`, () => process.exit(numbers.failed === 0 ? 0 : 1));
