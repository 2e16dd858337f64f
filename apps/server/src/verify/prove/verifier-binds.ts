import { existsSync } from 'node:fs';
import { readdir, readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { JailError } from '../jail/error.js';
import { roBindArguments, sharedLibraries } from '../jail/host-tools.js';
import type { Bind } from '../jail/host-tools.js';

/** Where the jail shows the program; the host's path would tell where the data lies. */
const JAIL_ROOT = '/bpfleet';
const PACKAGES_MAX = 200;

const packageSchema = z.object({ dependencies: z.record(z.string(), z.string()).optional() });

export interface VerifierRoot {
  /** For bubblewrap. */
  arguments: string[];
  node: string;
  /** The verifier's entry as the jail sees it. */
  main: string;
}

/**
 * What the verifier needs to run, and no more: Node with its libraries, the verifier's own build, and the packages that
 * its package.json leads to. Sources, the server, and whatever else lies beside them stay outside.
 */
export async function verifierRoot(verifierMain: string): Promise<VerifierRoot> {
  const main = await realpath(verifierMain).catch(() => {
    throw new JailError(`${verifierMain} is not there: npm run build`, 'a built verifier');
  });
  const root = rootOf(main);
  const node = await realpath(process.execPath);
  const binds: Bind[] = [{ host: node, jail: node }, ...(await sharedLibraries(node))];
  const links: string[] = [];
  const app = appFolder(root, main);
  binds.push(...(await buildBinds(root, app)));
  await addDependencies(root, app, binds, links);
  for (const bind of binds.filter(({ host }) => host.endsWith('/build'))) {
    for (const addon of await addonsIn(bind.host)) binds.push(...(await sharedLibraries(addon)));
  }
  return {
    arguments: [...roBindArguments(binds), ...links],
    node,
    main: jailPath(root, main),
  };
}

/** The nearest folder above that has packages, or the program's own when it carries none. */
function rootOf(main: string): string {
  for (let folder = path.dirname(main); folder !== '/'; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, 'node_modules')) && path.basename(path.dirname(folder)) !== 'apps') return folder;
  }
  return path.dirname(main);
}

function appFolder(root: string, main: string): string {
  for (let folder = path.dirname(main); folder.startsWith(root) && folder !== '/'; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, 'package.json'))) return folder;
  }
  return path.dirname(main);
}

function jailPath(root: string, file: string): string {
  return path.join(JAIL_ROOT, path.relative(root, file));
}

/** Of a package of this repository: what was built, never its sources or tests. */
async function buildBinds(root: string, folder: string): Promise<Bind[]> {
  const parts = ['package.json', 'dist', 'build', 'prebuilds', 'node_modules'];
  return parts
    .map((part) => path.join(folder, part))
    .filter((host) => existsSync(host))
    .map((host) => ({ host, jail: jailPath(root, host) }));
}

async function addDependencies(root: string, app: string, binds: Bind[], links: string[]): Promise<void> {
  const seen = new Set<string>();
  const pending = [app];
  while (pending.length > 0) {
    const folder = pending.pop() as string;
    for (const name of await dependenciesOf(folder)) {
      const installed = path.join(root, 'node_modules', name);
      // A nested copy lies inside the folder that is bound already.
      if (seen.has(name) || existsSync(path.join(folder, 'node_modules', name)) || !existsSync(installed)) continue;
      seen.add(name);
      if (seen.size > PACKAGES_MAX)
        throw new JailError(`the verifier needs more than ${PACKAGES_MAX} packages`, 'fewer');
      const real = await realpath(installed);
      if (real === installed) {
        binds.push({ host: real, jail: jailPath(root, installed) });
      } else {
        binds.push(...(await buildBinds(root, real)));
        links.push('--symlink', jailPath(root, real), jailPath(root, installed));
      }
      pending.push(real);
    }
  }
}

async function dependenciesOf(folder: string): Promise<string[]> {
  const file = path.join(folder, 'package.json');
  if (!existsSync(file)) return [];
  const parsed = packageSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  return Object.keys(parsed.dependencies ?? {});
}

async function addonsIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true });
  return entries.filter((entry) => entry.endsWith('.node')).map((entry) => path.join(folder, entry));
}
