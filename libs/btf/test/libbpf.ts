import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { referenceLibbpfDir } from '@bpfleet/testkit';

const here = dirname(fileURLToPath(import.meta.url));
const ARCHIVES = ['libbpf.a', 'libelf.a', 'libz.a'];
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

export interface Prepared {
  /** Instructions by program. */
  readonly programs: ReadonlyMap<string, Uint8Array>;
  /** What libbpf said, when it refused. */
  readonly refusal: string | undefined;
}

/** libbpf itself as the judge of what this library says: a newer one than the product's, which scripts/fetch-libbpf.mjs builds. */
export class Libbpf {
  readonly #folder = mkdtempSync(join(tmpdir(), 'bpfleet-libbpf-'));
  readonly #tools = new Map<string, string>();

  /** Relocates an object against a BTF file, and gives what came out. Creates the object's maps, which takes root. */
  prepare(object: Uint8Array, btf: Uint8Array): Prepared {
    return this.#relocate(object, btf);
  }

  /** The same, by way of this kernel: its verifier has to accept every program. */
  load(object: Uint8Array, btf: Uint8Array): Prepared {
    return this.#relocate(object, btf, 'load');
  }

  #relocate(object: Uint8Array, btf: Uint8Array, ...mode: 'load'[]): Prepared {
    const files = [join(this.#folder, 'object.o'), join(this.#folder, 'kernel.btf')] as const;
    writeFileSync(files[0], object);
    writeFileSync(files[1], btf);
    try {
      const options = { encoding: 'utf8', maxBuffer: OUTPUT_BYTES_MAX, stdio: 'pipe' } as const;
      const lines = execFileSync(this.#tool('relocate'), [...files, ...mode], options).split('\n');
      return { programs: new Map(lines.filter((line) => line !== '').map(programOf)), refusal: undefined };
    } catch (error) {
      return { programs: new Map(), refusal: String((error as { stderr?: unknown }).stderr) };
    }
  }

  /** The types as C; those of a split BTF alone, when it comes with its base. */
  printC(btf: Uint8Array, base?: Uint8Array): string {
    const files = [join(this.#folder, 'types.btf'), join(this.#folder, 'base.btf')] as const;
    writeFileSync(files[0], btf);
    if (base !== undefined) writeFileSync(files[1], base);
    const given = base === undefined ? [files[0]] : files;
    return execFileSync(this.#tool('dump'), given, { encoding: 'utf8', maxBuffer: OUTPUT_BYTES_MAX });
  }

  #tool(name: 'relocate' | 'dump'): string {
    const known = this.#tools.get(name);
    if (known !== undefined) return known;
    const libbpf = referenceLibbpfDir();
    const tool = join(this.#folder, name);
    const archives = ARCHIVES.map((archive) => join(libbpf, archive));
    const source = join(here, `reference/${name}.c`);
    execFileSync('cc', ['-O1', '-o', tool, source, '-I', join(libbpf, 'include'), ...archives], { stdio: 'pipe' });
    this.#tools.set(name, tool);
    return tool;
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function programOf(line: string): [string, Uint8Array] {
  const [name = '', code = ''] = line.split(' ');
  return [name, new Uint8Array(Buffer.from(code, 'hex'))];
}
