import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createClient, type ApiClient } from '@bpfleet/api';
import { RunningVm, startVm } from '@bpfleet/vm';
import { Refusal } from '../refusal.js';
import { hasPackage, type DeviceArch } from './made-packages.js';
import { passOn } from './pass-on.js';
import { parseVmOptions, USAGE, type VmCommandOptions } from './vm-options.js';

const repositoryDir = fileURLToPath(new URL('../../../../', import.meta.url));
const BOOT_TIMEOUT_MS = 240_000;
const INSTALL_TIMEOUT_MS = 300_000;
const SHELL_TIMEOUT_MS = 24 * 3600 * 1000;

const say = (line: string): void => void process.stderr.write(`bpfleet: ${line}\n`);

/** The fleet that runs on this machine, by the token that its supervisor made for itself. @throws Refusal */
async function openFleet({ dataDir, httpPort }: VmCommandOptions): Promise<ApiClient> {
  const tokenFile = join(dataDir, 'up-token');
  const baseUrl = `http://127.0.0.1:${httpPort}`;
  if (!existsSync(tokenFile))
    throw new Refusal(
      `${dataDir} is no data folder of a running fleet: start it with \`npm run up\`, or name it with --data.`,
    );
  const client = createClient({ baseUrl, token: readFileSync(tokenFile, 'utf8').trim() });
  try {
    await client.call('me', {});
  } catch (error) {
    throw new Refusal(
      `The fleet does not answer at ${baseUrl} (${(error as Error).message}): is \`npm run up\` running there?`,
    );
  }
  return client;
}

/** Makes the package that the server hands out, unless there is one of this version. */
function ensurePackage(arch: DeviceArch): void {
  const { version } = JSON.parse(readFileSync(join(repositoryDir, 'apps/agent/package.json'), 'utf8')) as {
    version: string;
  };
  if (hasPackage(join(repositoryDir, 'packages/index.json'), { arch, version }))
    return say(
      `the ${arch} package of version ${version} in packages/ is used; \`npm run package -- --arch ${arch}\` makes it anew`,
    );
  say(`making the agent's package ${version} for ${arch}, once`);
  const script = join(repositoryDir, 'apps/agent/package/main.mjs');
  execFileSync(process.execPath, [script, '--arch', arch, '--format', 'deb'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

async function enrol(vm: RunningVm, client: ApiClient, ports: readonly number[]): Promise<string> {
  const { command, server } = await client.call('createEnrolmentToken', { body: { name: vm.target } });
  const { files, script } = passOn(new URL(server).hostname.replace(/^\[|\]$/g, ''), ports);
  for (const [path, content] of Object.entries(files)) await vm.put(path, content);
  await vm.sh(script);
  const said = await vm.sh(command, {
    timeoutMs: INSTALL_TIMEOUT_MS,
    onOutput: (stream, chunk) => void (stream === 'stderr' && process.stderr.write(chunk)),
  });
  return /"device":"(d\w+)"/.exec(said)?.[1] ?? '';
}

/** A root shell on the device, until it is left or this process is told to end. */
async function shell(vm: RunningVm): Promise<void> {
  const ended = new AbortController();
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const)
    process.once(signal, () => ended.abort(new Refusal(`${signal}: the VM ends.`)));
  const { stdin, stdout } = process;
  if (stdin.isTTY) stdin.setRawMode(true);
  const size = stdin.isTTY ? `stty rows ${stdout.rows} cols ${stdout.columns} 2>/dev/null;` : '';
  try {
    await vm.exec(['script', '-qefc', `${size} cd /root; exec bash -i`, '/dev/null'], {
      env: { TERM: process.env['TERM'] ?? 'vt100', HOME: '/root' },
      input: stdin,
      timeoutMs: SHELL_TIMEOUT_MS,
      outputBytesMax: 0,
      onOutput: (_, chunk) => void stdout.write(chunk),
      signal: ended.signal,
    });
  } finally {
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.destroy();
  }
}

async function main(): Promise<void> {
  const options = parseVmOptions(process.argv.slice(2), { uid: process.getuid?.() ?? 0 });
  if (options.help) return void process.stdout.write(USAGE);
  const client = await openFleet(options);
  ensurePackage(options.target.startsWith('arm64') && !options.target.endsWith('compat32') ? 'arm64' : 'armv7');
  say(`starting ${options.target}; the first time its kernel and programs are fetched`);
  const { target } = options;
  const kernelArgs = ['lsm=lockdown,yama,bpf'];
  const vm = await startVm({ target, init: 'systemd', kernelArgs, bootTimeoutMs: BOOT_TIMEOUT_MS });
  try {
    say(`up in ${(vm.bootMs / 1000).toFixed(0)} s with Linux ${vm.guest.release}`);
    const id = await enrol(vm, client, [options.httpPort, options.mqttPort]);
    say(
      `http://127.0.0.1:${options.httpPort}/devices/${id} shows it. This is a root shell on it; \`exit\` ends the VM.`,
    );
    await shell(vm);
  } finally {
    await vm.stop();
  }
}

main().catch((error: unknown) => {
  say(error instanceof Refusal ? error.message : String((error as Error).stack ?? error));
  process.exitCode = 1;
});
