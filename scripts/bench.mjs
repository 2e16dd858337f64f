// npm run bench -- NAME [arguments]: runs the one libs/*/bench/NAME.mjs or apps/*/bench/NAME.mjs there is.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [name, ...passed] = process.argv.slice(2);
const benches = ['libs', 'apps'].flatMap((kind) =>
  readdirSync(join(root, kind)).flatMap((room) => {
    const folder = join(root, kind, room, 'bench');
    const files = existsSync(folder) ? readdirSync(folder) : [];
    return files.filter((file) => file.endsWith('.mjs')).map((file) => join(folder, file));
  }),
);
const found = benches.find((path) => basename(path, '.mjs') === name);
if (found === undefined) {
  console.error(`bench: no such bench; there are ${benches.map((path) => basename(path, '.mjs')).join(', ')}`);
  process.exit(2);
}
process.exit(spawnSync(process.execPath, [found, ...passed], { stdio: 'inherit' }).status ?? 1);
