import { spawnSync } from 'node:child_process';
import { describe } from '@jest/globals';

/** Whether this machine lets us build the namespaces of a jail: not in every container. */
function hasNamespaces(): boolean {
  const bwrap = ['--unshare-pid', '--unshare-net', '--ro-bind', '/', '/', '/bin/true'];
  return spawnSync('bwrap', bwrap, { stdio: 'ignore' }).status === 0;
}

/**
 * `describe` for tests that run something in a jail; skipped, by name, only where there can be none. `missing` is what else
 * this machine lacks.
 */
export function describeWithJail(name: string, missing: readonly string[], tests: () => void): void {
  const lacks = hasNamespaces() ? missing : [...missing, 'bubblewrap with namespaces'];
  if (lacks.length === 0) describe(name, tests);
  else describe.skip(`${name} [needs ${lacks.join(', ')}]`, tests);
}
