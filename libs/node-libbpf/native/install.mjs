// What a person runs who installs this package alone: takes the addon that came with it where it loads, else builds one here.
//
//   node native/install.mjs
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { packageFolder } from './pinned-sources.mjs';

// The same places as src/load-addon.ts, which is not compiled yet in a fresh checkout.
const places = ['build/Release/bpf.node', `prebuilds/${process.platform}-${process.arch}/bpf.node`];
const found = places.filter((place) => existsSync(join(packageFolder, place)));
const loading = found.find(loads);
if (loading !== undefined) {
  console.log(`node-libbpf: ${loading} loads`);
} else {
  const why =
    found.length === 0 ? `no addon for ${process.platform}-${process.arch}` : `${found.join(', ')} do not load`;
  console.log(`node-libbpf: ${why}; building from source`);
  process.exit(
    spawnSync(process.execPath, [join(packageFolder, 'native/build.mjs')], { stdio: 'inherit' }).status ?? 1,
  );
}

/** In a process of its own: an addon that does not suit this machine may do worse than throw. */
function loads(place) {
  return spawnSync(process.execPath, ['-e', `require('./${place}')`], { cwd: packageFolder }).status === 0;
}
