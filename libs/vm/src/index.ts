export { VM_TARGETS } from './catalogue.js';
export type { VmTarget } from './catalogue.js';
export type { OwnKernel } from './kernel-files.js';
export { NO_IO_URING, RunningVm } from './running-vm.js';
export type { ExecOptions, ExecResult, RebootKind } from './running-vm.js';
export { missingForVm, startVm } from './vm.js';
export type { VmOptions } from './vm.js';
export { VmError } from './vm-error.js';
export type { VmErrorCode } from './vm-error.js';
