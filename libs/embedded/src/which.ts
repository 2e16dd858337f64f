import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/** The full path of a program, looked for on PATH and in the sbin folders. */
export function which(program: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  for (const folder of folders.filter((name) => name !== '')) {
    const path = join(folder, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here; the next folder may have it.
    }
  }
  return undefined;
}
