import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { VM_TARGETS, type VmTarget } from '@bpfleet/vm';
import { Refusal } from '../refusal.js';

export interface VmCommandOptions {
  readonly target: VmTarget;
  readonly dataDir: string;
  readonly httpPort: number;
  readonly mqttPort: number;
  readonly help: boolean;
}

const KERNELS = VM_TARGETS.map((target) => {
  const [arch, version, variant] = target.split('-');
  const isCompat = variant === 'compat32';
  const kernel = variant === undefined || isCompat ? version : `${version}-${variant}`;
  return { target, arch, kernel, userLand: isCompat ? 'armv7' : arch };
});
const list = KERNELS.map(({ arch, kernel, userLand }) => {
  return `    --arch ${arch} --kernel ${kernel}${userLand === arch ? '' : ` --user-land ${userLand}`}`;
}).join('\n');

export const USAGE = `usage: npm run vm -- --arch ARCH --kernel VERSION [options]

  A device in a VM, enrolled in the \`npm run up\` that runs on this machine, and a root shell on it.

  --arch ARCH, --kernel VERSION, --user-land ARCH   one of:
${list}
  --data DIR        the data folder of \`npm run up\` (root: /var/lib/bpfleet, else ~/.local/share/bpfleet)
  --port N          its web app and API (8480)
  --mqtt-port N     its broker (8883)
`;

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        arch: { type: 'string' },
        kernel: { type: 'string' },
        'user-land': { type: 'string' },
        data: { type: 'string' },
        port: { type: 'string', default: '8480' },
        'mqtt-port': { type: 'string', default: '8883' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    throw new Refusal(`${(error as Error).message.split('. ')[0]}.\n${USAGE}`);
  }
}

function portOf(name: string, text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535)
    throw new Refusal(`--${name} takes a port number (1 to 65535), not ${text}.`);
  return port;
}

/** @throws Refusal naming the option that is wrong */
export function parseVmOptions(argv: readonly string[], who: { uid: number; home?: string }): VmCommandOptions {
  const values = parse(argv);
  const { arch = 'arm64', kernel = '6.1', 'user-land': userLand = arch } = values;
  const found = KERNELS.find((one) => one.arch === arch && one.kernel === kernel && one.userLand === userLand);
  if (found === undefined && !values.help) {
    const wanted = `${arch} ${kernel}${userLand === arch ? '' : ` with ${userLand} programs`}`;
    throw new Refusal(`There is no VM of ${wanted}; there are:\n${list}`);
  }
  const standard = who.uid === 0 ? '/var/lib/bpfleet' : join(who.home ?? homedir(), '.local/share/bpfleet');
  return {
    target: found?.target ?? 'arm64-6.1',
    dataDir: values.data === undefined ? standard : resolve(values.data),
    httpPort: portOf('port', values.port),
    mqttPort: portOf('mqtt-port', values['mqtt-port']),
    help: values.help,
  };
}
