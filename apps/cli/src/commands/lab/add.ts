import type { ApiClient, LabArch, LabFileKind, LabKernel, LabSuite } from '@bpfleet/api';
import type { Command } from 'commander';
import { Option } from 'commander';
import { stat, readFile } from 'node:fs/promises';
import { LAB_CONFIG_BYTES_MAX, LAB_IMAGE_BYTES_MAX } from '@bpfleet/api';
import { invocationOf, type CommandHost } from '../../command.js';
import { connect, type Invocation } from '../../connection.js';
import { CliError } from '../../exit-code.js';
import { readKernelFile } from '../../kernel-file/kernel-file.js';
import { readKernelPackage, type KernelPackage } from '../../kernel-file/kernel-package.js';
import { safeText } from '../../output/terminal-text.js';

interface AddOptions {
  suite?: LabSuite;
  image?: string;
  kernelPackage?: string[];
  config?: string;
  btf?: string;
  vmlinux?: string;
  arch: LabArch;
  userLand?: LabArch;
  pages?: keyof typeof PAGE_BYTES;
  cmdline?: string;
  jit?: string;
  name?: string;
}

const PAGE_BYTES = { '4k': 4096, '16k': 16_384 } as const;
/** A kernel image over a slow link takes its time. */
const UPLOAD_TIMEOUT_MS = 900_000;

const afterHelp = `
A kernel of your own board needs what the VM is made of: virtio-mmio, virtio-blk, virtio-console, ext4, devtmpfs, initramfs, and
the console ttyAMA0 (PL011); docs/lab-kernel.config is to be merged into its configuration. With --kernel-package drivers may be
modules: they are taken out of the package. Where it does not come up, "bpfleet lab list" shows its last words.
What was uploaded before an "add" that came to no end is kept for a day, and removed by the next upload after that.

  bpfleet lab add --suite trixie --arch arm64 --cmdline "lsm=lockdown,yama,bpf"
  bpfleet lab add --suite trixie --arch arm64 --pages 16k
  bpfleet lab add --suite trixie --arch arm64 --cmdline "sysctl.net.core.bpf_jit_harden=1"
  bpfleet lab add --image arch/arm64/boot/Image --vmlinux vmlinux --arch arm64 --name gateway-5.15
  bpfleet lab add --kernel-package linux-image-6.1.0-50-rt-arm64_6.1.176-1_arm64.deb --arch arm64`;

export function addLabAdd(lab: Command, host: CommandHost): void {
  lab
    .command('add')
    .description('a kernel for the lab to boot, which then proves every release before devices like it get it')
    .addOption(
      new Option('--suite <suite>', "a kernel of Debian's").choices(['bullseye', 'bookworm', 'trixie', 'forky']),
    )
    .option('--image <file>', 'a kernel of your own: Image, Image.gz or zImage')
    .option(
      '--kernel-package <file...>',
      'the Debian package of a kernel and its modules (linux-image-….deb), or all where it is split',
    )
    .option('--config <file>', 'the build configuration of --image, for programs that ask it what was built in')
    .option('--btf <file>', 'its types, where it shows none itself')
    .option('--vmlinux <file>', 'the same, from its vmlinux or debug package')
    .addOption(new Option('--arch <arch>', 'of the kernel').choices(['arm64', 'armv7']).makeOptionMandatory())
    .addOption(new Option('--user-land <arch>', "of the programs, if not the kernel's").choices(['arm64', 'armv7']))
    .addOption(new Option('--pages <size>', "of --suite's kernel, if not 4k").choices(Object.keys(PAGE_BYTES)))
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

function assertWhole({ suite, image, kernelPackage, config, btf, vmlinux, name, pages }: AddOptions): void {
  if ([suite, image, kernelPackage].filter((one) => one !== undefined).length !== 1) {
    throw new CliError('LAB_KERNEL', 'which kernel? give --suite, or --image or --kernel-package of your own');
  }
  if (pages !== undefined && suite === undefined)
    throw new CliError('LAB_KERNEL', "--pages chooses among a suite's kernels: your own has what it was built with");
  if (btf !== undefined && vmlinux !== undefined) {
    throw new CliError('LAB_KERNEL', '--btf and --vmlinux both give its types: give one of them');
  }
  if (config !== undefined && image === undefined) {
    throw new CliError('LAB_KERNEL', '--config is that of an --image: a package holds its own');
  }
  if (image !== undefined && name === undefined)
    throw new CliError('LAB_KERNEL', 'a kernel of your own needs a --name');
}

/** A kernel of somebody's own, read and not yet uploaded. */
type OwnKernel = Pick<KernelPackage, 'image' | 'config' | 'modules'> & { readonly name: string | undefined };

async function ownKernel({ printer }: Invocation, options: AddOptions): Promise<OwnKernel | undefined> {
  const { image, config, kernelPackage, name } = options;
  if (kernelPackage !== undefined) {
    const found = await readKernelPackage(kernelPackage, (line) => printer.note(line));
    return { ...found, name: name ?? nameOf(found.release) };
  }
  if (image === undefined) return undefined;
  return {
    image: await readWhole(image, LAB_IMAGE_BYTES_MAX, 'a kernel image'),
    config: config === undefined ? undefined : await readWhole(config, LAB_CONFIG_BYTES_MAX, 'a build configuration'),
    modules: [],
    name,
  };
}

/** `6.12.107+deb13-rt-arm64` is a release, and no name for the lab. */
function nameOf(release: string): string {
  return release
    .toLowerCase()
    .replace(/[^a-z0-9._-]/g, '-')
    .slice(0, 48);
}

async function add(invocation: Invocation, client: ApiClient, options: AddOptions): Promise<LabKernel> {
  const { suite, arch, userLand } = options;
  const types = options.btf ?? options.vmlinux;
  const given = types === undefined ? undefined : await readKernelFile(types, (line) => invocation.printer.note(line));
  const own = await ownKernel(invocation, options);
  const upload = async (kind: LabFileKind, body: Uint8Array | undefined) =>
    body && (await client.call('addLabFile', { query: { kind, arch }, body })).digest;
  const image = await upload('image', own?.image);
  const modules: { name: string; digest: string }[] = [];
  for (const { name, bytes } of own?.modules ?? []) {
    const { digest } = await client.call('addLabFile', { query: { kind: 'module', arch }, body: bytes });
    modules.push({ name, digest });
  }
  return client.call('addLabKernel', {
    body: {
      ...{ suite, arch, userLand, name: own?.name ?? options.name, image },
      ...(modules.length > 0 ? { modules } : {}),
      ...(options.pages === undefined ? {} : { pageBytes: PAGE_BYTES[options.pages] }),
      config: await upload('config', own?.config),
      btf: await upload('btf', given?.btf),
      kernelArgs: (options.cmdline ?? '').split(/\s+/).filter((one) => one !== ''),
      jit: options.jit === undefined ? undefined : Number(options.jit),
    },
  });
}

async function readWhole(path: string, bytesMax: number, what: string): Promise<Buffer> {
  const facts = await stat(path).catch((error: Error) => {
    throw new CliError('KERNEL_FILE', `${safeText(path)} cannot be read: ${error.message}`);
  });
  if (facts.size <= bytesMax) return readFile(path);
  throw new CliError('KERNEL_FILE', `${safeText(path)} has ${facts.size} bytes; ${what} has at most ${bytesMax}`);
}

function addedLine({ name }: LabKernel): string {
  return `${safeText(name)} is in the lab and proves what is assigned and what is newest; \`bpfleet lab list\` shows how far it is.`;
}
