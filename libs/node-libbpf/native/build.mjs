// Builds build/Release/bpf.node, incrementally. Node's own headers are taken from beside the running binary when they are
// there, so that a build needs no network; node-gyp fetches them only where a distribution packages them apart.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { requireSoundAddon } from './elf-checks.mjs';
import { linkInputs } from './link-inputs.mjs';
import { packageFolder } from './pinned-sources.mjs';

const prefix = dirname(dirname(process.execPath));
const headers = existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : [];
try {
  // Before gyp asks for them, which would bury what went wrong.
  await linkInputs();
  const { error, status } = spawnSync('node-gyp', ['configure', 'build', '--loglevel=warn', ...headers], {
    cwd: packageFolder,
    stdio: 'inherit',
  });
  if (error !== undefined) throw new Error(`cannot run node-gyp (${error.message}); start this with "npm run build"`);
  if (status !== 0) throw new Error('the build failed; see above');
  requireSoundAddon(join(packageFolder, 'build/Release/bpf.node'));
} catch (error) {
  console.error(`node-libbpf: ${error.message}`);
  process.exit(1);
}
