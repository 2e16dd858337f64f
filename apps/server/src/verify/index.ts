export { JailError } from './jail/error.js';
export { CompileJail } from './compile/compile-jail.js';
export type { CompileJailOptions, CompileResult } from './compile/compile-jail.js';
export { CompileError } from './compile/diagnostics.js';
export type { CompileFailure, Diagnostic } from './compile/diagnostics.js';
export { PackageError, SOURCE_BYTES_MAX, SOURCE_FILES_MAX } from './compile/package.js';
export type { ProbeArch, SourceFile, SourcePackage } from './compile/package.js';
export { ensureVmlinuxHeader } from './compile/vmlinux-header.js';
