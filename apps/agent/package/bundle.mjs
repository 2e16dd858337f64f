// One file of JavaScript that holds the agent and everything it imports. CommonJS, because Node's loader of modules costs 2 MB
// of every process, and one file per command would hold zod twice.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

/**
 * What mqtt.js can do and an agent, which brings its own socket, never asks it for: other transports, a proxy, timers in a
 * browser's worker, files of its command line, and debug output.
 */
const UNUSED = /^(ws|socks|worker-timers|concat-stream|help-me|debug)$/;
const EMPTY = 'module.exports = {};';
/** `debug` is called, so it must be a function. */
const SILENT = 'const silent = () => {}; silent.extend = () => silent; module.exports = () => silent;';

/** @type {import('esbuild').Plugin} */
const leaveOut = {
  name: 'leave-out',
  setup(builder) {
    builder.onResolve({ filter: UNUSED }, ({ path }) => ({ path, namespace: 'unused' }));
    builder.onLoad({ filter: /.*/, namespace: 'unused' }, ({ path }) => ({
      contents: path === 'debug' ? SILENT : EMPTY,
    }));
    // The same streams that Node has built in.
    builder.onResolve({ filter: /^readable-stream$/ }, () => ({ path: 'node:stream', external: true }));
  },
};

/**
 * Bundles the built agent (`npm run build` first). The same sources give the same bytes.
 * @param {{ repositoryDir: string, entry?: string }} options
 * @returns {Promise<{ code: string, licences: string }>} the bundle, and the licences of the packages inside of it
 */
export async function bundleAgent({ repositoryDir, entry = 'apps/agent/dist/main.js' }) {
  const result = await build({
    absWorkingDir: repositoryDir,
    entryPoints: [entry],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20.11',
    minify: true,
    legalComments: 'none',
    metafile: true,
    write: false,
    logLevel: 'warning',
    plugins: [leaveOut],
    define: { 'import.meta.url': 'bundleUrl' },
    banner: { js: "const bundleUrl=require('node:url').pathToFileURL(__filename).href;" },
  });
  const [output] = result.outputFiles;
  if (!output) throw new Error('esbuild gave no bundle');
  return { code: output.text, licences: licencesOf(repositoryDir, Object.keys(result.metafile.inputs)) };
}

/**
 * @param {string} repositoryDir
 * @param {string[]} inputs files of the bundle, relative to the repository
 */
function licencesOf(repositoryDir, inputs) {
  const folders = inputs.flatMap((input) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? []);
  return [...new Set(folders)]
    .sort()
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(repositoryDir, folder, 'package.json'), 'utf8'));
      return `${name} ${version} (${license})\n\n${licenceText(join(repositoryDir, folder))}`;
    })
    .join(`\n${'-'.repeat(80)}\n\n`);
}

/** @param {string} folder */
function licenceText(folder) {
  for (const name of ['LICENSE', 'LICENSE.md', 'LICENSE.txt', 'LICENCE', 'license', 'LICENSE-MIT']) {
    try {
      return readFileSync(join(folder, name), 'utf8');
    } catch {
      // Under another name, or named only in package.json.
    }
  }
  return '';
}
