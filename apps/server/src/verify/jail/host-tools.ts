import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, realpath } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { JailError } from './error.js';

const run = promisify(execFile);
const LDD_TIMEOUT_MS = 60_000;

// Debian keeps bpftool in sbin, which an ordinary user's PATH does not name.
const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** The absolute path of a program of this host. Throws JailError naming the Debian package that has it. */
export async function findTool(name: string, debianPackage: string): Promise<string> {
  const folders = [
    ...(process.env['PATH'] ?? '').split(':').filter((folder) => folder.startsWith('/')),
    ...SYSTEM_FOLDERS,
  ];
  for (const folder of folders) {
    const candidate = path.join(folder, name);
    try {
      await access(candidate, constants.X_OK);
      return candidate;
    } catch {
      continue;
    }
  }
  throw new JailError(`${name} is not installed: apt-get install ${debianPackage}`, debianPackage);
}

/** A file of the host and where the jail shows it. */
export interface Bind {
  host: string;
  jail: string;
}

/** The shared libraries, with the loader, that `binary` needs, at the paths where its loader looks for them. */
export async function sharedLibraries(binary: string): Promise<Bind[]> {
  const ldd = await findTool('ldd', 'libc-bin');
  const { stdout } = await run(ldd, [binary], { timeout: LDD_TIMEOUT_MS }).catch((error: Error) => {
    throw new JailError(`ldd does not understand ${binary}: ${error.message}`, 'a dynamically linked binary');
  });
  const found = [...stdout.matchAll(/(?:=>\s+|^\s+)(\/\S+)\s+\(0x/gm)].map((match) =>
    path.normalize(match[1] as string),
  );
  return Promise.all([...new Set(found)].map(async (jail) => ({ host: await realpath(jail), jail })));
}

export function roBindArguments(binds: readonly Bind[]): string[] {
  const unique = new Map(binds.map((bind) => [bind.jail, bind.host]));
  return [...unique].flatMap(([jail, host]) => ['--ro-bind', host, jail]);
}
