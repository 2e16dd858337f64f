// `npm run up`: from a fresh clone to a running fleet of one. The supervisor runs in this very process, so that a signal
// sent to it needs nobody to pass it on.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bootstrap, repositoryDir } from './bootstrap.mjs';
import { buildAll } from './build.mjs';
import { runScript } from './say.mjs';

await runScript(async () => {
  bootstrap();
  await buildAll();
  await import(pathToFileURL(join(repositoryDir, 'apps/up/dist/main.js')).href);
});
