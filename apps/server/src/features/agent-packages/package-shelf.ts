import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Injectable, Logger } from '@nestjs/common';
import { z } from 'zod';
import { Config } from '../../config/config.js';

/** Every field ends up in a script that runs as root on a device: nothing in them can be anything but a word. */
const packageSchema = z.object({
  file: z.string().regex(/^bpfleet-agent[-_][A-Za-z0-9.+~_-]{1,80}$/),
  arch: z.enum(['x64', 'arm64', 'armv7']),
  format: z.enum(['deb', 'tar']),
  version: z.string().regex(/^[A-Za-z0-9.+~-]{1,40}$/),
  glibc: z.string().regex(/^\d{1,3}\.\d{1,3}$/),
  bytes: z.number().int().min(1),
  installedBytes: z.number().int().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
const indexSchema = z.object({ packages: z.array(packageSchema).max(64) });
const INDEX_BYTES_MAX = 256 * 1024;

export type AgentPackage = z.infer<typeof packageSchema>;

/** The packages that `npm run package` has made, as they lie in their folder now. */
@Injectable()
export class PackageShelf {
  private readonly log = new Logger(PackageShelf.name);
  /** Digests of files that have not changed since they were read: by name, size and time. */
  private readonly digests = new Map<string, string>();

  constructor(private readonly config: Config) {}

  /** Those whose bytes are the ones that were built. Empty where none have been. */
  async list(): Promise<AgentPackage[]> {
    const found = await Promise.all(
      (await this.readIndex()).map(async (one) => ((await this.isWhole(one)) ? [one] : [])),
    );
    return found.flat();
  }

  async find(file: string): Promise<{ path: string; bytes: number } | undefined> {
    const one = (await this.readIndex()).find((candidate) => candidate.file === file);
    return one && (await this.isWhole(one)) ? { path: this.pathOf(one), bytes: one.bytes } : undefined;
  }

  private pathOf({ file }: AgentPackage): string {
    return join(this.config.packagesDir, file);
  }

  private async readIndex(): Promise<AgentPackage[]> {
    const path = join(this.config.packagesDir, 'index.json');
    try {
      const { size } = await stat(path);
      if (size > INDEX_BYTES_MAX) throw new Error(`it has ${size} bytes, at most ${INDEX_BYTES_MAX} are read`);
      return indexSchema.parse(JSON.parse(await readFile(path, 'utf8'))).packages;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
        this.log.warn(`${path} cannot be read; run npm run package again: ${(error as Error).message}`);
      }
      return [];
    }
  }

  /** A file that is being copied, or was changed by hand, is not handed out. */
  private async isWhole(one: AgentPackage): Promise<boolean> {
    const path = this.pathOf(one);
    try {
      const { size, mtimeMs } = await stat(path);
      if (size !== one.bytes) return false;
      const key = `${one.file} ${size} ${mtimeMs}`;
      let digest = this.digests.get(key);
      if (digest === undefined) {
        const hash = createHash('sha256');
        await pipeline(createReadStream(path), hash);
        digest = hash.digest('hex');
        if (this.digests.size > 256) this.digests.clear();
        this.digests.set(key, digest);
      }
      if (digest !== one.sha256) this.log.warn(`${path} is not what was built; run npm run package again`);
      return digest === one.sha256;
    } catch {
      return false;
    }
  }
}
