// `npm run vm -- --arch arm64 --kernel 6.1`: a device in a VM, enrolled in the fleet that `npm run up` runs on this machine.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bootstrap, repositoryDir } from './bootstrap.mjs';
import { buildAll } from './build.mjs';
import { runScript } from './say.mjs';

await runScript(async () => {
  bootstrap({ vms: true });
  await buildAll();
  await import(pathToFileURL(join(repositoryDir, 'apps/up/dist/vm/main.js')).href);
});
