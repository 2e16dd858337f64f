import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';

const script = fileURLToPath(new URL('../scripts/api-reference.mjs', import.meta.url));

it('has an API reference that says what the types say', () => {
  // A process of its own: the compiler API is CommonJS and large.
  expect(() =>
    execFileSync(process.execPath, [script, '--check'], { encoding: 'utf8', timeout: 60_000 }),
  ).not.toThrow();
});
