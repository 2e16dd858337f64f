import { Injectable } from '@nestjs/common';
import {
  CompileError,
  PackageError,
  type CompileJail,
  type Diagnostic,
  type ProbeArch,
  type SourcePackage,
} from '../../../verify/index.js';
import type { BodyOf } from '../../../http/route.js';
import { withoutComments } from './c-comments.js';
import { compileRefusal, refusal } from './refusal.js';
import { hostArch } from './host-arch.js';
import { unavailable, VerifyTools } from './verify-tools.js';

export interface BuiltObject {
  readonly arch: 'any' | ProbeArch;
  readonly bytes: Buffer;
}

export interface Finding {
  readonly severity: 'error' | 'warning';
  readonly rule: string;
  readonly message: string;
}

export interface Built {
  readonly objects: readonly BuiltObject[];
  readonly warnings: readonly Finding[];
}

const ARCHES: readonly ProbeArch[] = ['x86_64', 'arm64', 'arm'];
const NEEDS_ARCH =
  /\b(__TARGET_ARCH_\w+|pt_regs|PT_REGS\w*|BPF_KPROBE\w*|BPF_KRETPROBE\w*|BPF_KSYSCALL|BPF_UPROBE|BPF_URETPROBE)\b/;
/**
 * White space may stand anywhere. Nothing here can match in two ways: `=` parts what the repetitions take, or many megabytes of
 * spaces would be shared out between them in n² ways.
 */
const BASE64 = /^[A-Za-z0-9+/\s]*(?:=\s*){0,2}$/;

/** From what was uploaded to objects by architecture: compiled in the jail, or taken as they are. */
@Injectable()
export class ObjectBuilder {
  constructor(private readonly tools: VerifyTools) {}

  /** Throws PACKAGE_INVALID, COMPILE_FAILED, OBJECT_INVALID, or COMPILER_UNAVAILABLE. */
  async build(probe: string, body: BodyOf<'publish'>): Promise<Built> {
    const { sources, objects } = body;
    if (sources.length > 0 && objects.length > 0) {
      throw refusal('PACKAGE_INVALID', 'a release is made of sources or of ready objects, not of both: send one kind');
    }
    if (sources.length > 0) return this.compile(probe, sources);
    if (objects.length > 0) return { objects: readyObjects(objects), warnings: [] };
    throw refusal('PACKAGE_INVALID', 'there is nothing to make a release of: send a .bpf.c file or a ready object');
  }

  private async compile(probe: string, sources: BodyOf<'publish'>['sources']): Promise<Built> {
    const files = sources.map(({ name, text }) => ({ name, bytes: Buffer.from(text, 'utf8') }));
    const entry = entryOf(
      probe,
      files.map(({ name }) => name),
    );
    const jail = await this.tools.compileJail();
    const host = hostArch();
    const first = await compileOne(jail, { files }, entry, host ?? 'x86_64');
    const warnings = first.warnings.map(ofDiagnostic);
    if (!sources.some(({ text }) => NEEDS_ARCH.test(withoutComments(text)))) {
      return { objects: [{ arch: 'any', bytes: first.object }], warnings };
    }
    const built: BuiltObject[] = [{ arch: host ?? 'x86_64', bytes: first.object }];
    for (const arch of ARCHES.filter((other) => other !== built[0]?.arch)) {
      // The header of this host's kernel need not have another architecture's registers: a device of that kind then has no
      // object and says so, which the preview shows too.
      try {
        built.push({ arch, bytes: (await jail.compile({ files }, entry, arch)).object });
      } catch (error) {
        if (!(error instanceof CompileError)) throw unavailable(error);
        const message = `There is no object for ${arch}, because it does not compile for it: ${error.message}.`;
        warnings.push({ severity: 'warning', rule: 'architecture', message });
      }
    }
    return { objects: built, warnings };
  }
}

async function compileOne(
  jail: CompileJail,
  pkg: SourcePackage,
  entry: string,
  arch: ProbeArch,
): Promise<{ object: Buffer; warnings: readonly Diagnostic[] }> {
  try {
    return await jail.compile(pkg, entry, arch);
  } catch (error) {
    if (error instanceof CompileError) throw compileRefusal(error.message, error.diagnostics);
    if (error instanceof PackageError) throw refusal('PACKAGE_INVALID', error.message);
    throw unavailable(error);
  }
}

/** The only .bpf.c, or among several the one named after the probe: the others are included by it. */
function entryOf(probe: string, names: readonly string[]): string {
  const entries = names.filter((name) => name.endsWith('.bpf.c'));
  const named = entries.find((name) => name === `${probe}.bpf.c`);
  const entry = named ?? (entries.length === 1 ? entries[0] : undefined);
  if (entry !== undefined) return entry;
  const have = entries.length === 0 ? `none of ${names.join(', ')} ends in .bpf.c` : `there are ${entries.join(', ')}`;
  throw refusal('PACKAGE_INVALID', `which file is to be compiled? ${have}; name it ${probe}.bpf.c`);
}

function readyObjects(objects: BodyOf<'publish'>['objects']): BuiltObject[] {
  const seen = new Set<string>();
  for (const { arch, base64 } of objects) {
    if (seen.has(arch)) throw refusal('PACKAGE_INVALID', `there are two objects for ${arch}; send one`);
    if (!BASE64.test(base64)) throw refusal('OBJECT_INVALID', `the object for ${arch} is not base64`);
    seen.add(arch);
  }
  if (seen.has('any') && seen.size > 1) {
    throw refusal(
      'PACKAGE_INVALID',
      'an object for any architecture stands alone; send it, or one for each architecture',
    );
  }
  return objects.map(({ arch, base64 }) => ({ arch, bytes: Buffer.from(base64, 'base64') }));
}

function ofDiagnostic({ file, line, message }: Diagnostic): Finding {
  const where = file === '' ? '' : `${file}:${line}: `;
  return { severity: 'warning', rule: 'compiler', message: `${where}${message}` };
}
