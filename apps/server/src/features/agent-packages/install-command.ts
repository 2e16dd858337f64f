import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Injectable } from '@nestjs/common';
import { Config } from '../../config/config.js';
import { PackageShelf, type AgentPackage } from './package-shelf.js';

/** Where the packaged agent's unit keeps its state. */
const AGENT_STATE_DIR = '/var/lib/bpfleet-agent';
const ARCHS = ['x64', 'arm64', 'armv7'] as const;
const BUILD_COMMAND = `npm run package -- --arch ${ARCHS.join(',')}`;
const BYTES_PER_MIB = 1_048_576;

/** The line for a device, where the device will look for the server, and what to know about both. */
export interface InstallLine {
  readonly server: string;
  readonly command: string;
  /** undefined where there is nothing to know. */
  readonly note?: string;
}

/** What a person runs on a device, and what that runs. */
@Injectable()
export class InstallCommand {
  constructor(
    private readonly config: Config,
    private readonly shelf: PackageShelf,
  ) {}

  async forToken(token: string): Promise<InstallLine> {
    const packages = await this.shelf.list();
    const server = this.publicUrl();
    const note = [...packageNotes(packages), ...addressNotes(server)].join(' ');
    const command =
      packages.length === 0
        ? `bpfleet-agent enrol --server ${word(server)} --token ${token} --state ${AGENT_STATE_DIR}`
        : installLine(`${server}/agent/install.sh`, await this.scriptOf(packages), token);
    return { server, command, ...(note === '' ? {} : { note }) };
  }

  /** The script with this server's address and the digests of its packages in it. */
  async script(): Promise<string> {
    return this.scriptOf(await this.shelf.list());
  }

  private async scriptOf(packages: readonly AgentPackage[]): Promise<string> {
    const template = await readFile(this.config.installScript, 'utf8');
    const lines = packages.map(
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

function packageNotes(packages: readonly AgentPackage[]): string[] {
  if (packages.length === 0) {
    return [
      `This server has no agent packages to hand out, so the agent must be on the device already. To have them: ${BUILD_COMMAND}`,
    ];
  }
  const sizes = ARCHS.flatMap((arch) => {
    // Of one architecture, all formats hold the same files.
    const one = packages.find((candidate) => candidate.arch === arch);
    return one ? [`${Math.round(one.installedBytes / BYTES_PER_MIB)} MiB on ${arch}`] : [];
  });
  const missing = ARCHS.filter((arch) => !packages.some((one) => one.arch === arch));
  const others = `There is no package for ${missing.join(' and ')}; to have it: npm run package -- --arch ${missing.join(',')}`;
  return [`Installed, the agent takes ${sizes.join(', ')}.`, ...(missing.length === 0 ? [] : [others])];
}

function addressNotes(server: string): string[] {
  const host = URL.canParse(server) ? new URL(server).hostname : '';
  if (!/^(localhost|127(\.\d+){3}|\[::1\])$/.test(host)) return [];
  return [
    `Only this machine finds its server at ${host}; for other devices: npm run up -- --host NAME_OR_IP, or BPFLEET_PUBLIC_URL.`,
  ];
}

/**
 * One line for a shell of root's, POSIX, BusyBox's too. Over HTTPS the connection vouches for the script. Over plain HTTP anyone
 * in between could put another in its place, so the line carries the digest of the script, which carries those of the packages:
 * the line is then as trustworthy as the page that shows it. `$(...)` takes off newlines at the end; the script ends with one.
 */
function installLine(url: string, script: string, token: string): string {
  const run = `sh -s -- ${token}`;
  if (!/^http:/i.test(url)) return `curl -fsSL ${word(url)} | ${run}`;
  const digest = createHash('sha256').update(script).digest('hex');
  const print = `printf '%s\\n' "$s"`;
  const refusal =
    'bpfleet: what came is not the script that this line was made for, so nothing was run: the packages were built anew since (ask for a new line), or somebody changed it on its way';
  return [
    `u=${word(url)}; s=$(curl -fsSL "$u" || wget -qO- "$u") &&`,
    `case $(${print} | sha256sum) in ${digest}*) ${print} | ${run};;`,
    `*) echo ${quote(refusal)} >&2; false;; esac`,
  ].join(' ');
}

/** As a person would type it: in quotes only where it needs them. */
function word(text: string): string {
  return /^[\w./:@%+,=-]+$/.test(text) ? text : quote(text);
}

/** One word of a POSIX shell, whatever is in it. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
