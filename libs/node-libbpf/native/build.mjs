// Builds build/Release/bpf.node, incrementally. Node's own headers are taken from beside the running binary when they are
// there, so that a build needs no network; node-gyp fetches them only where a distribution packages them apart.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const packageFolder = dirname(dirname(fileURLToPath(import.meta.url)));
const prefix = dirname(dirname(process.execPath));
const headers = existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : [];
const result = spawnSync('node-gyp', ['configure', 'build', '--loglevel=warn', ...headers], {
  cwd: packageFolder,
  stdio: 'inherit',
});
if (result.error !== undefined) {
  console.error(`node-libbpf: cannot run node-gyp (${result.error.message}); start this with "npm run build"`);
}
process.exit(result.status ?? 1);
