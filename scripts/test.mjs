// `npm test`: sets everything up, builds, runs every test that this machine can run, and says what it could not.
import { bootstrap } from './bootstrap.mjs';
import { buildAll } from './build.mjs';
import { runJest } from './run-jest.mjs';
import { Refusal, say } from './say.mjs';
import { counts, skippedTests, summaryLine } from './test-summary.mjs';

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
