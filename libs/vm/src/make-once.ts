import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';

/**
 * A folder of the cache, named by what it is made of: filled beside its place and moved there whole, so that it is either not
 * there or complete, whoever was killed meanwhile.
 */
export async function makeOnce(folder: string, fill: (work: string) => Promise<void>): Promise<void> {
  if (existsSync(folder)) return;
  const work = `${folder}.${process.pid}-${randomBytes(4).toString('hex')}`;
  mkdirSync(work, { recursive: true });
  try {
    await fill(work);
    renameSync(work, folder);
  } catch (error) {
    // Another process may have made the same thing meanwhile: then its copy is as good.
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
