import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const repositoryDir = fileURLToPath(new URL('../../../../', import.meta.url));
const SCRIPT = `
const { bundleAgent } = await import(process.argv[1]);
const { code } = await bundleAgent({ repositoryDir: process.argv[2], entry: 'apps/agent/src/main.ts' });
process.stdout.write(code);
`;

/** The agent as a package holds it, one file with its addon beside it and its version above, in a folder that every user can read. */
export class AgentBundle {
  readonly folder = mkdtempSync(join(tmpdir(), 'bpfleet-agent-bundle-'));
  readonly program = join(this.folder, 'lib/agent.cjs');

  /** @param addon of the library that this machine loads, unless it is for another */
  constructor(addon = 'build/Release/bpf.node') {
    const bundler = join(repositoryDir, 'apps/agent/package/bundle.mjs');
    const { execPath } = process;
    const code = execFileSync(execPath, ['--input-type=module', '-e', SCRIPT, bundler, repositoryDir], {
      maxBuffer: 64 << 20,
    });
    mkdirSync(join(this.folder, 'lib'));
    writeFileSync(this.program, code);
    copyFileSync(join(repositoryDir, 'apps/agent/package.json'), join(this.folder, 'package.json'));
    copyFileSync(join(repositoryDir, 'libs/node-libbpf', addon), join(this.folder, 'lib/bpf.node'));
    chmodSync(this.folder, 0o755);
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
