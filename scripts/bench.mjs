// Runs one benchmark: `npm run bench -- NAME [--json]`. It lives as bench/NAME.mjs in the library that it measures, exports
// `run()`, and gives back {name, ratio, …}; `ratio` is ours over the baseline of the same run.
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: 'boolean' } } });
const benches = new Map(
  ['libs', 'apps'].flatMap((room) =>
    readdirSync(join(root, room)).flatMap((name) => {
      const folder = join(root, room, name, 'bench');
      if (!existsSync(folder)) return [];
      const files = readdirSync(folder).filter((file) => file.endsWith('.mjs'));
      return files.map((file) => [file.slice(0, -'.mjs'.length), join(folder, file)]);
    }),
  ),
);

const [name] = positionals;
const file = name === undefined ? undefined : benches.get(name);
if (file === undefined) {
  console.error(`usage: npm run bench -- NAME [--json]\nbenchmarks: ${[...benches.keys()].sort().join(', ')}`);
  process.exitCode = 2;
} else {
  const { run } = await import(pathToFileURL(file).href);
  const result = await run();
  if (values.json === true) console.log(JSON.stringify(result));
  else for (const [key, value] of Object.entries(result)) console.log(`${key.padEnd(12)} ${value}`);
}
