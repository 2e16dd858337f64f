import type { KernelBtf } from '@bpfleet/api';
import type { Command } from 'commander';
import { Option } from 'commander';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect } from '../../connection.js';
import { CliError } from '../../exit-code.js';
import { readKernelFile } from '../../kernel-file/kernel-file.js';
import type { KernelArch, KernelFile } from '../../kernel-file/types.js';
import { bytesText } from '../../output/numbers.js';
import { safeText } from '../../output/terminal-text.js';

interface AddOptions {
  buildId?: string;
  release?: string;
  arch?: KernelArch;
  replace: boolean;
}

/** A 5 MB upload over a slow link takes its time. */
const UPLOAD_TIMEOUT_MS = 600_000;
const BUILD_ID = /^([0-9a-f]{2}){4,32}$/;

export function addBtfAdd(btf: Command, host: CommandHost): void {
  btf
    .command('add')
    .description('give the server the types of a kernel that shows none itself')
    .argument('<file>', "the kernel's vmlinux, its debug package (.deb), or its BTF")
    .option('--build-id <hex>', 'of the kernel; needed for a file of BTF, which does not say it')
    .option('--release <release>', 'as `uname -r` shows it on the device')
    .addOption(new Option('--arch <arch>', 'of the kernel').choices(['x86_64', 'arm64', 'arm']))
    .option('--replace', 'although another BTF was added for this build', false)
    .action(async (file: string, options: AddOptions, command: Command) => {
      const invocation = invocationOf(command, host);
      const { printer } = invocation;
      const client = await connect(invocation, { timeoutMs: UPLOAD_TIMEOUT_MS });
      const kernel = await readKernelFile(file, (line) => printer.note(line));
      const query = queryOf(file, kernel, options);
      const added = await client.call('addBtf', { query, body: kernel.btf });
      printer.result(added, () => addedLines(added, query.buildId, kernel));
    });
}

/** What the file says; what was typed fills the gaps, and must not say otherwise. */
function queryOf(file: string, kernel: KernelFile, options: AddOptions) {
  const buildId = options.buildId?.toLowerCase() ?? kernel.buildId;
  if (buildId === undefined) {
    throw new CliError(
      'BUILD_ID_MISSING',
      `${safeText(file)} does not say of which kernel build it is: give --build-id (a device without BTF shows it in \`bpfleet kernels list\`)`,
    );
  }
  if (!BUILD_ID.test(buildId)) throw new CliError('BUILD_ID_INVALID', 'a build id is 8 to 64 hexadecimal digits');
  assertSame('build id', kernel.buildId, buildId);
  assertSame('architecture', kernel.arch, options.arch);
  return {
    buildId,
    release: options.release ?? kernel.release,
    arch: options.arch ?? kernel.arch,
    replace: options.replace ? ('true' as const) : ('false' as const),
  };
}

function assertSame(what: string, fileSays: string | undefined, given: string | undefined): void {
  if (fileSays === undefined || given === undefined || fileSays === given) return;
  throw new CliError('KERNEL_DIFFERS', `the file has the ${what} ${fileSays}, and not ${given}`);
}

const MADE: Readonly<Record<KernelFile['from'], string>> = {
  section: 'as it was built with',
  dwarf: 'made from its debug information',
  bare: 'as it was given',
};

function addedLines(added: KernelBtf, buildId: string, { from }: KernelFile): string[] {
  const build = added.builds.find((one) => one.buildId === buildId);
  const name = `${build?.kernelRelease ?? 'a kernel'} (${build?.kernelArch ?? '?'}), build ${buildId}`;
  const devices = added.devices === 1 ? '1 device has' : `${added.devices} devices have`;
  return [
    `${safeText(name)}: ${bytesText(added.bytes)} of BTF, ${MADE[from]}.`,
    added.devices === 0 ? 'No device of that kernel is known yet.' : `${devices} that kernel.`,
  ];
}
