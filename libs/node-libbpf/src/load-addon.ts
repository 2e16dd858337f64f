import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';

/**
 * Loads the addon of this platform for the code in `folder` (src/ or dist/ of the package, or where a bundler has put it): the
 * one beside a bundle, the one that was built here, which is newer than any other, or the one that came with the package.
 * Throws an Error of one sentence that says how to build one.
 */
export function loadAddon(folder: string, platform: string = process.platform, arch: string = process.arch): unknown {
  const require = createRequire(join(resolve(folder), 'any.js'));
  const refusals: string[] = [];
  for (const place of ['bpf.node', '../build/Release/bpf.node', `../prebuilds/${platform}-${arch}/bpf.node`]) {
    const path = join(resolve(folder), place);
    if (!existsSync(path)) continue;
    try {
      return require(path);
    } catch (error) {
      // Built for another processor or a newer C library, for example in an image that was copied.
      refusals.push(`${path} does not load (${error instanceof Error ? error.message : String(error)})`);
    }
  }
  const found = refusals.length === 0 ? `there is no addon for ${platform}-${arch}` : refusals.join('; ');
  throw new Error(`node-libbpf: ${found}; "node native/install.mjs" in ${resolve(folder, '..')} builds one`);
}
