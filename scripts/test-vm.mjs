// `npm run test:vm`: boots the kernels of the catalogue, runs what tests them, and prints what was seen as a table of
// kernel × capability.
//
//   npm run test:vm                                everything, in a quarter of an hour
//   npm run test:vm -- --target arm64-6.12-16k     one kernel, and all that there is for it
//   npm run test:vm -- --refresh-kernels           accept what the mirror offers now, first
//   npm run test:vm -- --write-support             write what was seen into docs/kernel-support.json and .md
//   npm run test:vm -- libs/testkit                other arguments go to jest
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrap, repositoryDir } from './bootstrap.mjs';
import { buildAll } from './build.mjs';
import { keepRecorded } from './kernel-support.mjs';
import { runJest } from './run-jest.mjs';
import { Refusal, say, seconds } from './say.mjs';
import { counts, skippedTests, summaryLine } from './test-summary.mjs';
import { readCatalogue, refreshPins } from './vm-artifacts.mjs';
import { factsTable } from './vm-table.mjs';

const factsFile = join(repositoryDir, '.cache/vm/facts.jsonl');
const supportFile = join(repositoryDir, '.cache/vm/support.jsonl');

/** @param {string[]} args */
function parse(args) {
  const jestArgs = [...args];
  /** @param {string} flag */
  const taken = (flag) => jestArgs.includes(flag) && jestArgs.splice(jestArgs.indexOf(flag), 1).length > 0;
  const refresh = taken('--refresh-kernels');
  const support = taken('--write-support');
  const at = jestArgs.indexOf('--target');
  const target = at < 0 ? undefined : jestArgs.splice(at, 2)[1];
  const known = Object.keys(readCatalogue().targets);
  if (at >= 0 && !known.includes(target ?? ''))
    throw new Refusal(`--target takes one of ${known.join(', ')}, not ${target ?? 'nothing'}`);
  return { refresh, support, target, jestArgs };
}

try {
  const { refresh, support, target, jestArgs } = parse(process.argv.slice(2));
  const started = Date.now();
  bootstrap({ tests: true });
  await buildAll();
  if (refresh) refreshPins(target ? [target] : []);
  for (const file of [factsFile, supportFile]) rmSync(file, { force: true });
  // Its title begins with the target; the colon keeps arm64-6.1 from also choosing arm64-6.12.
  const chosen = target ? ['-t', `${target}: `] : [];
  const result = runJest([...jestArgs, ...chosen], {
    BPFLEET_VM_TESTS: 'all',
    ...(target === undefined ? {} : { BPFLEET_VM_TARGET: target }),
    BPFLEET_VM_FACTS: factsFile,
    BPFLEET_VM_SUPPORT: supportFile,
  });
  for (const { name, needs } of target ? [] : skippedTests(result)) say(`skipped: ${name} (needs ${needs ?? '?'})`);
  if (existsSync(factsFile)) process.stdout.write(factsTable(readFileSync(factsFile, 'utf8')));
  if (support && existsSync(supportFile)) keepRecorded(readFileSync(supportFile, 'utf8'));
  say(`VM tests took ${seconds(started)}`);
  const numbers = counts(result);
  process.stdout.write(`${summaryLine(numbers)}\n`, () => process.exit(numbers.failed === 0 ? 0 : 1));
} catch (error) {
  say(error instanceof Refusal ? error.message : String(/** @type {Error} */ (error).stack ?? error));
  process.exit(1);
}
