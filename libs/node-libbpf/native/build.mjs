// Builds build/Release/bpf.node, incrementally. Node's own headers are taken from beside the running binary when they are
// there, so that a build needs no network; node-gyp fetches them only where a distribution packages them apart.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { requireSoundAddon } from './elf-checks.mjs';
import { linkInputs } from './link-inputs.mjs';
import { packageFolder } from './pinned-sources.mjs';

const prefix = dirname(dirname(process.execPath));
const headers = existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : [];
try {
  // Before gyp asks for them, which would bury what went wrong.
  await linkInputs();
  const { status } = spawnSync(process.execPath, [nodeGyp(), 'configure', 'build', '--loglevel=warn', ...headers], {
    cwd: packageFolder,
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error('the build failed; see above');
  requireSoundAddon(join(packageFolder, 'build/Release/bpf.node'));
} catch (error) {
  console.error(`node-libbpf: ${error.message}`);
  process.exit(1);
}

/** Installed beside this package, or the one that npm has for itself. */
function nodeGyp() {
  const require = createRequire(join(packageFolder, 'package.json'));
  const places = [
    () => require.resolve('node-gyp/bin/node-gyp.js'),
    () => join(prefix, 'lib/node_modules/npm/node_modules/node-gyp/bin/node-gyp.js'),
    () => join(prefix, 'share/nodejs/npm/node_modules/node-gyp/bin/node-gyp.js'),
  ];
  for (const place of places) {
    try {
      const path = place();
      if (existsSync(path)) return path;
    } catch {
      // Not a dependency here: the next place.
    }
  }
  throw new Error('no node-gyp: npm install node-gyp beside this package');
}
