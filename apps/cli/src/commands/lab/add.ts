import type { ApiClient, LabArch, LabKernel, LabSuite } from '@bpfleet/api';
import type { Command } from 'commander';
import { Option } from 'commander';
import { stat, readFile } from 'node:fs/promises';
import { LAB_IMAGE_BYTES_MAX } from '@bpfleet/api';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect, type Invocation } from '../../connection.js';
import { CliError } from '../../exit-code.js';
import { readKernelFile } from '../../kernel-file/kernel-file.js';
import { safeText } from '../../output/terminal-text.js';

interface AddOptions {
  suite?: LabSuite;
  image?: string;
  btf?: string;
  vmlinux?: string;
  arch: LabArch;
  userLand?: LabArch;
  cmdline?: string;
  jit?: string;
  name?: string;
}

/** A kernel image over a slow link takes its time. */
const UPLOAD_TIMEOUT_MS = 900_000;

const afterHelp = `
A kernel of your own board needs what the VM is made of built in: virtio-mmio, virtio-blk, virtio-console, ext4, devtmpfs,
initramfs, and the console ttyAMA0 (PL011). Where it does not come up, "bpfleet lab list" shows its last words.

  bpfleet lab add --suite trixie --arch arm64 --cmdline "lsm=lockdown,yama,bpf"
  bpfleet lab add --image arch/arm64/boot/Image --vmlinux vmlinux --arch arm64 --name gateway-5.15`;

export function addLabAdd(lab: Command, host: CommandHost): void {
  lab
    .command('add')
    .description('a kernel for the lab to boot, which then proves every release before devices like it get it')
    .addOption(new Option('--suite <suite>', "a kernel of Debian's").choices(['bullseye', 'bookworm', 'trixie']))
    .option('--image <file>', 'a kernel of your own: Image, Image.gz or zImage')
    .option('--btf <file>', 'its types, where it shows none itself')
    .option('--vmlinux <file>', 'the same, from its vmlinux or debug package')
    .addOption(new Option('--arch <arch>', 'of the kernel').choices(['arm64', 'armv7']).makeOptionMandatory())
    .addOption(new Option('--user-land <arch>', "of the programs, if not the kernel's").choices(['arm64', 'armv7']))
    .option('--cmdline <arguments>', "added to the kernel's command line, such as its devices have")
    .addOption(new Option('--jit <n>', 'net.core.bpf_jit_enable, as its devices have it').choices(['0', '1', '2']))
    .option('--name <name>', 'to call it by')
    .addHelpText('after', afterHelp)
    .action(async (options: AddOptions, command: Command) => {
      const invocation = invocationOf(command, host);
      assertWhole(options);
      const client = await connect(invocation, { timeoutMs: UPLOAD_TIMEOUT_MS });
      const kernel = await add(invocation, client, options);
      invocation.printer.result(kernel, () => [addedLine(kernel)]);
    });
}

function assertWhole({ suite, image, btf, vmlinux, name }: AddOptions): void {
  if ((suite === undefined) === (image === undefined)) {
    throw new CliError('LAB_KERNEL', 'which kernel? give --suite, or --image of your own');
  }
  if (btf !== undefined && vmlinux !== undefined) {
    throw new CliError('LAB_KERNEL', '--btf and --vmlinux both give its types: give one of them');
  }
  if (image !== undefined && name === undefined)
    throw new CliError('LAB_KERNEL', 'a kernel of your own needs a --name');
}

async function add({ printer }: Invocation, client: ApiClient, options: AddOptions): Promise<LabKernel> {
  const { suite, arch, userLand, name } = options;
  const types = options.btf ?? options.vmlinux;
  const given = types === undefined ? undefined : await readKernelFile(types, (line) => printer.note(line));
  const image = options.image === undefined ? undefined : await readImage(options.image);
  const upload = async (kind: 'image' | 'btf', body: Uint8Array | undefined) =>
    body && (await client.call('addLabFile', { query: { kind, arch }, body })).digest;
  return client.call('addLabKernel', {
    body: {
      suite,
      arch,
      userLand,
      name,
      image: await upload('image', image),
      btf: await upload('btf', given?.btf),
      kernelArgs: (options.cmdline ?? '').split(/\s+/).filter((one) => one !== ''),
      jit: options.jit === undefined ? undefined : Number(options.jit),
    },
  });
}

async function readImage(path: string): Promise<Buffer> {
  const facts = await stat(path).catch((error: Error) => {
    throw new CliError('KERNEL_FILE', `${safeText(path)} cannot be read: ${error.message}`);
  });
  if (facts.size <= LAB_IMAGE_BYTES_MAX) return readFile(path);
  throw new CliError(
    'KERNEL_FILE',
    `${safeText(path)} has ${facts.size} bytes; a kernel image has at most ${LAB_IMAGE_BYTES_MAX}`,
  );
}

function addedLine({ name }: LabKernel): string {
  return `${safeText(name)} is in the lab and proves what is assigned and what is newest; \`bpfleet lab list\` shows how far it is.`;
}
