import type { VmError, VmErrorCode } from '@bpfleet/vm';
import { ProveError } from '../../../verify/index.js';
import { MachineError, type MachineFailure } from './lab-machines.js';

type Step = 'boot' | 'prove';

const CONSOLE_LINES_MAX = 40;
const MESSAGE_CHARS_MAX = 600;

const FAILURES: Readonly<Record<Step, Readonly<Record<VmErrorCode, MachineFailure>>>> = {
  boot: {
    VM_MISSING: 'order',
    VM_BOOT: 'boot',
    VM_PANIC: 'boot',
    VM_RESET: 'boot',
    VM_EXITED: 'boot',
    VM_TIMEOUT: 'boot',
    VM_REFUSED: 'boot',
    VM_COMMAND: 'boot',
  },
  prove: {
    VM_MISSING: 'lost',
    VM_BOOT: 'lost',
    VM_PANIC: 'crash',
    // A watchdog, or a fault so early in its own handling that it says nothing.
    VM_RESET: 'crash',
    VM_EXITED: 'lost',
    VM_TIMEOUT: 'timeout',
    VM_REFUSED: 'lost',
    VM_COMMAND: 'lost',
  },
};

/** What the initramfs says on the console when it cannot go on (libs/vm initramfs.ts), and what a kernel needs then. */
const MISSING_DRIVERS: readonly (readonly [RegExp, string])[] = [
  [
    /bpfleet-vm: no disk/,
    'it found no disk, so CONFIG_VIRTIO_MMIO and CONFIG_VIRTIO_BLK must be built in, or given as modules',
  ],
  [
    /bpfleet-vm: the disk cannot be mounted/,
    'it could not mount the disk, so CONFIG_EXT4_FS must be built in, or given as a module',
  ],
  [
    /bpfleet-vm: no virtio console/,
    'it has no channel to the lab, so CONFIG_VIRTIO_CONSOLE must be built in, or given as a module',
  ],
  [
    /bpfleet-vm: a module does not load/,
    'one of its modules does not load: they must be of the same build as the image, and all that each needs among them',
  ],
  [
    /Unable to mount root fs|No working init found/,
    'it did not run the initramfs, so CONFIG_BLK_DEV_INITRD must be on',
  ],
];
const NO_WORD =
  'it said nothing, so the image may be for another machine, or CONFIG_SERIAL_AMBA_PL011_CONSOLE is not built in (the VM is QEMU’s “virt”)';
const SOME_DRIVER =
  'what the VM is made of must be built in (docs/lab-kernel.config lists it); its last words are below';

/** A failure of a VM in the words of the lab. What is none (a bug, a full disk) counts as lost. */
export function machineErrorOf(
  error: unknown,
  step: Step,
  about: { readonly ownImage: boolean; readonly signal: AbortSignal },
): MachineError {
  if (error instanceof MachineError) return error;
  if (about.signal.aborted) return new MachineError('stopped', 'it was to stop');
  if (error instanceof ProveError) {
    // A broken report is the verifier's, an object that libbpf cannot open the author's.
    return new MachineError(error.reason === 'request' ? 'object' : 'lost', error.message);
  }
  if (!isVmError(error)) return new MachineError('lost', (error as Error).message.slice(0, MESSAGE_CHARS_MAX));
  const console = error.console.slice(-CONSOLE_LINES_MAX);
  const first = error.message.split('\n')[0] ?? '';
  const failure = FAILURES[step][error.code];
  const message =
    about.ownImage && failure === 'boot' ? `the kernel did not come up: ${whyNot(console)}` : sentence(first);
  return new MachineError(failure, message, console);
}

function isVmError(error: unknown): error is VmError {
  // By name: libs/vm is loaded only where a VM is started.
  return error instanceof Error && error.name === 'VmError';
}

function whyNot(console: readonly string[]): string {
  const text = console.join('\n');
  const known = MISSING_DRIVERS.find(([pattern]) => pattern.test(text));
  if (known) return known[1];
  return text.trim() === '' ? NO_WORD : SOME_DRIVER;
}

/** Without where this host keeps the console's file: the lines themselves are kept. */
function sentence(message: string): string {
  return message.replace(/ \(console: [^)]*\)/, '').slice(0, MESSAGE_CHARS_MAX);
}
