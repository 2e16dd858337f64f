import { parseArgs } from 'node:util';

/** Where the packaged agent's unit keeps its state. */
const STATE_DEFAULT = '/var/lib/bpfleet-agent';
/** Where everybody looks for it; the packaged unit has one of its own. */
const BPFFS_DEFAULT = '/sys/fs/bpf';

export type CommandLine =
  | { readonly command: 'help' | 'version' }
  | {
      readonly command: 'enrol';
      readonly server: string;
      readonly token: string;
      readonly state: string;
      readonly replace: boolean;
    }
  | { readonly command: 'doctor'; readonly bpffs: string; readonly json: boolean }
  | {
      readonly command: 'run';
      readonly state: string;
      readonly bpffs: string;
      readonly kernel: boolean;
      /** The file with the types of the running kernel; undefined where kernels show it. */
      readonly btf: string | undefined;
    };

/** What was typed cannot be understood: one sentence. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly code = 'USAGE';
}

export const usage = `bpfleet-agent runs signed eBPF probes on this device.

  bpfleet-agent enrol --server URL --token TOKEN [--state FOLDER] [--replace]
      turn an enrolment token into an identity of this device; --replace gives up the one that the folder holds
  bpfleet-agent run [--state FOLDER] [--bpffs FOLDER] [--no-kernel] [--btf FILE]
      run what the server asks of this device, pinned below a bpffs (${BPFFS_DEFAULT}); --no-kernel does everything but
      load programs; --btf names the file with the running kernel's BTF where it is not at /sys/kernel/btf/vmlinux
  bpfleet-agent doctor [--bpffs FOLDER] [--json]
      try what works on this kernel for this user with these capabilities, and say what is missing for the rest; exits with 1
      where the agent could not work
  bpfleet-agent --version | --help

The state folder is ${STATE_DEFAULT}, or what BPFLEET_AGENT_STATE says.
`;

const options = {
  server: { type: 'string' },
  token: { type: 'string' },
  state: { type: 'string' },
  bpffs: { type: 'string' },
  replace: { type: 'boolean' },
  'no-kernel': { type: 'boolean' },
  btf: { type: 'string' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'V' },
} as const;
type OptionName = keyof typeof options;

const optionsOf: Readonly<Record<string, readonly OptionName[]>> = {
  enrol: ['server', 'token', 'state', 'replace'],
  run: ['state', 'bpffs', 'no-kernel', 'btf'],
  doctor: ['bpffs', 'json'],
};

/**
 * A table and node:util, because this is loaded on every device for as long as it runs.
 * @throws UsageError
 */
export function parseCommandLine(args: readonly string[], environment: NodeJS.ProcessEnv): CommandLine {
  const { values, positionals } = read(args);
  if (values.version) return { command: 'version' };
  if (values.help) return { command: 'help' };
  const [command, ...rest] = positionals;
  if (command === undefined) throw new UsageError('a command is missing: enrol, run or doctor; see --help');
  const allowed = Object.hasOwn(optionsOf, command) ? optionsOf[command] : undefined;
  if (!allowed) throw new UsageError(`there is no command "${command}"; see --help`);
  if (rest.length > 0) throw new UsageError(`${command} takes no "${rest[0]}"; see --help`);
  const foreign = Object.keys(values).find((name) => !allowed.includes(name as OptionName));
  if (foreign !== undefined) throw new UsageError(`${command} has no option --${foreign}; see --help`);
  const state = values.state ?? environment['BPFLEET_AGENT_STATE'] ?? STATE_DEFAULT;
  if (command === 'run') {
    const { bpffs = BPFFS_DEFAULT, btf } = values;
    return { command, state, bpffs, kernel: values['no-kernel'] !== true, btf };
  }
  if (command === 'doctor') return { command, bpffs: values.bpffs ?? BPFFS_DEFAULT, json: values.json === true };
  const { server, token, replace = false } = values;
  if (server === undefined) throw new UsageError('enrol needs --server URL, such as https://bpfleet.example.org');
  if (token === undefined) throw new UsageError('enrol needs --token TOKEN, as the server showed it');
  return { command: 'enrol', server, token, state, replace };
}

function read(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}; see --help`);
  }
}
