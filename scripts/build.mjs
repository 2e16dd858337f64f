// Builds everything in the order in which one part needs another, and each part only when its inputs changed.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bootstrap, repositoryDir } from './bootstrap.mjs';
import { Refusal, runScript, say, seconds } from './say.mjs';

const stampDir = join(repositoryDir, '.cache/build');
const OUTPUT_FOLDERS = new Set(['node_modules', 'dist', 'dist-types', 'build', 'generated', '.cache']);

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {string[]} inputs Files and folders; outputs and dependencies inside them are left out.
 * @property {string[]} outputs All must exist for the step to be skipped.
 * @property {string[]} command
 * @property {Record<string, string>} [env]
 * @property {string} [also] Anything else the result depends on.
 */

/** @type {Record<'native' | 'reaper' | 'prisma' | 'types' | 'web', Step>} */
const steps = {
  native: {
    name: 'native addon',
    inputs: ['libs/node-libbpf/native', 'libs/node-libbpf/binding.gyp', 'libs/node-libbpf/package.json'],
    outputs: ['libs/node-libbpf/build/Release/bpf.node'],
    command: ['npm', 'run', '--silent', 'build', '-w', 'libs/node-libbpf'],
    // A binary is for one processor, one Node ABI and one libbpf: the pinned one, unless somebody names another.
    also: `${process.arch} ${process.versions.modules} ${process.env.LIBBPF_DIR ?? ''}`,
  },
  reaper: {
    name: 'reaper',
    inputs: ['apps/agent/reap'],
    outputs: ['apps/agent/reap/build/host/bpfleet-reap'],
    command: ['node', 'apps/agent/reap/build.mjs'],
    also: process.arch,
  },
  prisma: {
    name: 'Prisma client',
    inputs: ['prisma/schema.prisma', 'prisma.config.ts', 'node_modules/prisma/package.json'],
    outputs: ['apps/server/src/platform/prisma/generated/client.ts'],
    command: ['npx', 'prisma', 'generate', '--schema', 'prisma/schema.prisma'],
    // Its command line wants a schema engine even where none is used, and would download one.
    env: { PRISMA_SCHEMA_ENGINE_BINARY: '/bin/true', PRISMA_HIDE_UPDATE_MESSAGE: '1', CHECKPOINT_DISABLE: '1' },
  },
  types: {
    name: 'TypeScript',
    inputs: ['libs', 'apps', 'prisma/schema.prisma', 'tsconfig.json', 'tsconfig.base.json', 'package-lock.json'],
    outputs: ['apps/up/dist/main.js', 'apps/server/dist/main.js', 'apps/agent/dist/main.js', 'apps/cli/dist/main.js'],
    command: ['npx', 'tsc', '--build'],
  },
  web: {
    name: 'web app',
    inputs: ['apps/web', 'libs/api', 'tsconfig.base.json', 'package-lock.json'],
    outputs: ['apps/web/dist/index.html'],
    command: ['npm', 'run', '--silent', 'build', '-w', 'apps/web'],
  },
};

/**
 * @param {string} path relative to the repository
 * @param {(file: string) => void} visit
 */
function walk(path, visit) {
  const full = join(repositoryDir, path);
  const stat = statSync(full, { throwIfNoEntry: false });
  if (!stat) return;
  if (!stat.isDirectory()) return visit(path);
  for (const entry of readdirSync(full).sort()) {
    if (!OUTPUT_FOLDERS.has(entry)) walk(join(path, entry), visit);
  }
}

/** @param {Step} step */
function digest(step) {
  const hash = createHash('sha256').update(JSON.stringify([step.command, step.also ?? '']));
  for (const input of step.inputs) {
    walk(input, (file) =>
      hash
        .update(`${file}\0`)
        .update(readFileSync(join(repositoryDir, file)))
        .update('\0'),
    );
  }
  return hash.digest('hex');
}

/** @param {Step} step */
async function build(step) {
  const stamp = join(stampDir, step.name.replaceAll(' ', '-'));
  const wanted = digest(step);
  const isCurrent = existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
  if (isCurrent && step.outputs.every((output) => existsSync(join(repositoryDir, output)))) return;
  const started = Date.now();
  rmSync(stamp, { force: true });
  await run(step);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, wanted);
  say(`built ${step.name} in ${seconds(started)}`);
}

/**
 * @param {Step} step
 * @returns {Promise<void>}
 */
function run(step) {
  const [program = '', ...args] = step.command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: repositoryDir,
      env: { ...process.env, ...step.env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    /** @type {Buffer[]} */
    const output = [];
    child.stdout.on('data', (chunk) => output.push(chunk));
    child.stderr.on('data', (chunk) => output.push(chunk));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) return resolve();
      // Two steps run at once: the words of a failed one are shown together, those of a good one are noise.
      process.stderr.write(Buffer.concat(output));
      reject(new Refusal(`building the ${step.name} failed (${step.command.join(' ')})`));
    });
  });
}

export async function buildAll() {
  const native = build(steps.native);
  // A failure that waits for its turn to be awaited must not count as unhandled.
  native.catch(() => undefined);
  await build(steps.reaper);
  await build(steps.prisma);
  await build(steps.types);
  await build(steps.web);
  await native;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await runScript(async () => {
    bootstrap();
    await buildAll();
  });
}
