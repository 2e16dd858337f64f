export type VmErrorCode =
  /** A kernel, a package or a program of the host cannot be had. */
  | 'VM_MISSING'
  /** The guest did not come up in time. */
  | 'VM_BOOT'
  /** The guest's kernel panicked. */
  | 'VM_PANIC'
  /** The guest started again without being asked to. */
  | 'VM_RESET'
  /** QEMU ended, or the VM was stopped, while something was under way. */
  | 'VM_EXITED'
  /** Something asked of the guest took too long. */
  | 'VM_TIMEOUT'
  /** The guest refused: no such program, no such file. */
  | 'VM_REFUSED'
  /** A command in the guest ended with another code than 0. */
  | 'VM_COMMAND';

export class VmError extends Error {
  override readonly name = 'VmError';

  constructor(
    readonly code: VmErrorCode,
    message: string,
    /** The last lines of the guest's console, when they may say why. */
    readonly console: readonly string[] = [],
  ) {
    super(console.length === 0 ? message : `${message}\nlast lines of the console:\n  ${console.join('\n  ')}`);
  }
}
