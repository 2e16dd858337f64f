import { readFile } from 'node:fs/promises';
import { Injectable } from '@nestjs/common';
import { Config } from '../../config/config.js';
import { PackageShelf } from './package-shelf.js';

/** Where the packaged agent's unit keeps its state. */
const AGENT_STATE_DIR = '/var/lib/bpfleet-agent';
const BUILD_COMMAND = 'npm run package -- --arch x64,arm64,armv7';

/** What a person runs on a device, and what that runs. */
@Injectable()
export class InstallCommand {
  constructor(
    private readonly config: Config,
    private readonly shelf: PackageShelf,
  ) {}

  /** The line for a device, and what to know about it: undefined when it simply works. */
  async forToken(token: string): Promise<{ command: string; note?: string }> {
    const packages = await this.shelf.list();
    const server = this.publicUrl();
    if (packages.length === 0) {
      return {
        command: `bpfleet-agent enrol --server ${word(server)} --token ${token} --state ${AGENT_STATE_DIR}`,
        note: `This server has no agent packages to hand out, so the agent must be on the device already. To have them: ${BUILD_COMMAND}`,
      };
    }
    const archs = [...new Set(packages.map(({ arch }) => arch))];
    const missing = ['x64', 'arm64', 'armv7'].filter((arch) => !(archs as string[]).includes(arch));
    const command = `curl -fsSL ${word(`${server}/agent/install.sh`)} | sh -s -- ${token}`;
    if (missing.length === 0) return { command };
    return {
      command,
      note: `This server has packages for ${archs.join(' and ')}; for others: npm run package -- --arch ${missing.join(',')}`,
    };
  }

  /** The script with this server's address and the digests of its packages in it. */
  async script(): Promise<string> {
    const template = await readFile(this.config.installScript, 'utf8');
    const lines = (await this.shelf.list()).map(
      ({ arch, format, file, sha256, bytes, installedBytes, glibc }) =>
        `${arch} ${format} ${file} ${sha256} ${bytes} ${installedBytes} ${glibc}`,
    );
    return template
      .replace('@SERVER@', () => quote(this.publicUrl()))
      .replace('@PACKAGES@', () => quote(lines.join('\n')));
  }

  private publicUrl(): string {
    return this.config.publicUrl.replace(/\/+$/, '');
  }
}

/** As a person would type it: in quotes only where it needs them. */
function word(text: string): string {
  return /^[\w./:@%+,=-]+$/.test(text) ? text : quote(text);
}

/** One word of a POSIX shell, whatever is in it. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
