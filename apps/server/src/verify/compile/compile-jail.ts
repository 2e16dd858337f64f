import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { missingCapabilities } from '../jail/capabilities.js';
import { withFilter } from '../jail/filter-file.js';
import { roBindArguments } from '../jail/host-tools.js';
import { runInJail } from '../jail/run.js';
import type { JailLimits, JailResult } from '../jail/run.js';
import type { Slots } from '../../platform/slots.js';
import { jailSlots } from '../jail/jail-slots.js';
import { compileFilter } from './compile-filter.js';
import { findCompiler } from './compiler.js';
import type { Compiler } from './compiler.js';
import { CompileError, firstError, parseDiagnostics } from './diagnostics.js';
import type { CompileFailure, Diagnostic } from './diagnostics.js';
import { checkPackage } from './package.js';
import type { ProbeArch, SourcePackage } from './package.js';

export interface CompileJailOptions {
  /** Folders of trusted headers (`bpfleet.bpf.h`, `vmlinux.h`), searched in this order after the package's own. */
  includeDirs: string[];
  /** By the clock, which also runs while the machine does something else. */
  timeoutMs?: number;
  cpuSecondsMax?: number;
  /** Address space of the compiler. */
  memoryBytesMax?: number;
  outputBytesMax?: number;
  concurrencyMax?: number;
  clangPath?: string;
  warningsAreErrors?: boolean;
}

export interface CompileResult {
  /** A BPF ELF with BTF and without DWARF, little-endian. */
  object: Buffer;
  warnings: Diagnostic[];
  compilerVersion: string;
}

const TARGET_ARCH: Record<ProbeArch, string> = { x86_64: 'x86', arm64: 'arm64', arm: 'arm' };
// How bubblewrap passes SIGKILL on, which the kernel sends at the limit of CPU time.
const EXIT_KILLED = 128 + 9;
const DIAGNOSTIC_CHARS_MAX = 64 * 1024;

/**
 * Compiles C that nobody has to trust. The compiler's root holds itself, its libraries, headers and the package, all
 * read-only, so that `#include "/etc/passwd"` and `.incbin` find nothing; it has no network, no capability, no other
 * process, no environment, and no place to write: the object leaves by standard output.
 */
export class CompileJail {
  private readonly limits: JailLimits;
  private readonly slots: Slots;
  private compiler: Promise<Compiler> | undefined;

  constructor(private readonly options: CompileJailOptions) {
    this.limits = {
      timeoutMs: options.timeoutMs ?? 60_000,
      cpuSecondsMax: options.cpuSecondsMax ?? 20,
      addressBytesMax: options.memoryBytesMax ?? 1536 * 1024 * 1024,
      outputBytesMax: options.outputBytesMax ?? 16 * 1024 * 1024,
      openFilesMax: 256,
    };
    this.slots = jailSlots(options.concurrencyMax ?? 2);
  }

  /** Throws PackageError, CompileError, or JailError when this host cannot build the jail. */
  async compile(pkg: SourcePackage, entry: string, arch: ProbeArch): Promise<CompileResult> {
    checkPackage(pkg, entry);
    return this.slots.use(() => this.compileInSlot(pkg, entry, arch));
  }

  private async compileInSlot(pkg: SourcePackage, entry: string, arch: ProbeArch): Promise<CompileResult> {
    const compiler = await this.findCompilerOnce();
    const folder = await mkdtemp(path.join(tmpdir(), 'bpfleet-compile-'));
    try {
      await writeSources(path.join(folder, 'src'), pkg);
      const compiled = await this.run(compiler, folder, this.clangCommand(compiler, entry, arch));
      const output = compiled.stderr.toString('utf8');
      const diagnostics = parseDiagnostics(output, pkg);
      if (compiled.end !== 'exited' || compiled.code !== 0) throw failure(compiled, diagnostics, output, this.limits);
      const object = await this.strip(compiler, compiled.stdout, folder);
      const warnings = diagnostics.filter(({ severity }) => severity === 'warning');
      return { object, warnings, compilerVersion: compiler.version };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  private async strip(compiler: Compiler, object: Buffer, folder: string): Promise<Buffer> {
    if (!compiler.strip) return object;
    const stripped = await this.run(compiler, folder, [compiler.strip, '-g', '-', '-o', '-'], object);
    if (stripped.end === 'exited' && stripped.code === 0) return stripped.stdout;
    const output = stripped.stderr.toString('utf8').slice(0, DIAGNOSTIC_CHARS_MAX);
    throw new CompileError('the debug information could not be taken out of the object', 'crash', [], output);
  }

  private async run(compiler: Compiler, folder: string, command: string[], stdin?: Buffer): Promise<JailResult> {
    const bwrap = await this.root(compiler, path.join(folder, 'src'));
    const input = stdin ? { stdin } : {};
    return withFilter(compileFilter, (seccompFd) =>
      runInJail({ bwrap, command, limits: this.limits, seccompFd, ...input }),
    );
  }

  private findCompilerOnce(): Promise<Compiler> {
    this.compiler ??= findCompiler(this.options.clangPath).catch((error: unknown) => {
      this.compiler = undefined; // so that an installed package is found without a restart
      throw error;
    });
    return this.compiler;
  }

  private async root(compiler: Compiler, sources: string): Promise<string[]> {
    // Who may not make namespaces makes a user namespace first, where every kernel since 3.8 allows the others.
    const mayMakeNamespaces = process.geteuid?.() === 0 && (await missingCapabilities(['CAP_SYS_ADMIN'])).length === 0;
    const includes = this.options.includeDirs.map((host, i) => ({ host, jail: `/include/${i}` }));
    return [
      ...(mayMakeNamespaces ? [] : ['--unshare-user', '--uid', '65534', '--gid', '65534']),
      ...['--unshare-ipc', '--unshare-pid', '--unshare-net', '--unshare-uts', '--unshare-cgroup-try'],
      ...['--cap-drop', 'ALL', '--clearenv', '--setenv', 'LC_ALL', 'C'],
      ...['--setenv', 'LD_LIBRARY_PATH', compiler.libraryFolders.join(':')],
      ...roBindArguments([...compiler.binds, ...includes, { host: sources, jail: '/src' }]),
      ...['--remount-ro', '/', '--chdir', '/src'],
    ];
  }

  private clangCommand(compiler: Compiler, entry: string, arch: ProbeArch): string[] {
    return [
      ...[
        compiler.clang,
        '--target=bpfel',
        `-D__TARGET_ARCH_${TARGET_ARCH[arch]}`,
        '-resource-dir',
        compiler.resourceDir,
      ],
      ...['-O2', '-g', '-Wall', ...(this.options.warningsAreErrors ? ['-Werror'] : []), '-mcpu=v2'],
      ...['-fno-crash-diagnostics', '-fno-color-diagnostics', '-fno-caret-diagnostics', '-ferror-limit=20'],
      ...this.options.includeDirs.flatMap((_, i) => ['-I', `/include/${i}`]),
      ...['-c', entry, '-o', '-'],
    ];
  }
}

async function writeSources(folder: string, pkg: SourcePackage): Promise<void> {
  await mkdir(folder);
  await Promise.all(pkg.files.map((file) => writeFile(path.join(folder, file.name), file.bytes, { mode: 0o444 })));
}

function failure(result: JailResult, diagnostics: Diagnostic[], output: string, limits: JailLimits): CompileError {
  const [reason, sentence] = reasonOf(result, diagnostics, output, limits);
  return new CompileError(sentence, reason, diagnostics, output.slice(0, DIAGNOSTIC_CHARS_MAX));
}

function reasonOf(
  result: JailResult,
  diagnostics: Diagnostic[],
  output: string,
  limits: JailLimits,
): [CompileFailure, string] {
  if (result.end === 'timeout') return ['timeout', `the compiler was stopped after ${limits.timeoutMs} ms`];
  if (result.end === 'output') return ['output', `the compiler wrote more than ${limits.outputBytesMax} bytes`];
  if (result.code === EXIT_KILLED)
    return ['timeout', `the compiler was stopped after ${limits.cpuSecondsMax} s of CPU`];
  if (/out of memory|bad_alloc|allocation failed/i.test(output)) {
    return ['memory', `the compiler needed more than ${limits.addressBytesMax} bytes of memory`];
  }
  const error = firstError(diagnostics);
  if (error && result.code === 1) return ['diagnostics', error];
  return ['crash', `the compiler broke down (${result.signal ?? `exit ${result.code}`})${error ? `: ${error}` : ''}`];
}
