import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryDir } from './bootstrap.mjs';
import { Refusal } from './say.mjs';

const resultFile = join(repositoryDir, '.cache/test-result.json');

/**
 * @param {string[]} args passed on to jest
 * @param {Record<string, string>} [env]
 * @returns {import('./test-summary.mjs').JestResult}
 */
export function runJest(args, env = {}) {
  mkdirSync(join(repositoryDir, '.cache'), { recursive: true });
  rmSync(resultFile, { force: true });
  const flags = '--experimental-vm-modules --disable-warning=ExperimentalWarning';
  const jest = join(repositoryDir, 'node_modules/jest/bin/jest.js');
  spawnSync(process.execPath, [jest, '--json', `--outputFile=${resultFile}`, '--passWithNoTests', ...args], {
    cwd: repositoryDir,
    env: { ...process.env, ...env, NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} ${flags}`.trim() },
    // With --json jest repeats the whole result on standard output; people read standard error.
    stdio: ['inherit', 'ignore', 'inherit'],
  });
  try {
    return JSON.parse(readFileSync(resultFile, 'utf8'));
  } catch {
    throw new Refusal('jest ended without a result; see above.');
  }
}
