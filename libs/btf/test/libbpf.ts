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

/** libbpf itself as the judge: it relocates an object against a BTF file, and says what came out. */
export class Libbpf {
  readonly #folder = mkdtempSync(join(tmpdir(), 'bpfleet-libbpf-'));
  readonly #tool = join(this.#folder, 'relocate');

  constructor() {
    const source = join(here, 'reference/relocate.c');
    const libbpf = referenceLibbpfDir();
    const archives = ARCHIVES.map((archive) => join(libbpf, archive));
    execFileSync('cc', ['-O1', '-o', this.#tool, source, '-I', join(libbpf, 'include'), ...archives], {
      stdio: 'pipe',
    });
  }

  prepare(object: Uint8Array, btf: Uint8Array): Prepared {
    const files = [join(this.#folder, 'object.o'), join(this.#folder, 'kernel.btf')] as const;
    writeFileSync(files[0], object);
    writeFileSync(files[1], btf);
    try {
      const output = execFileSync(this.#tool, files, { encoding: 'utf8', maxBuffer: OUTPUT_BYTES_MAX, stdio: 'pipe' });
      const lines = output.split('\n').filter((line) => line !== '');
      return { programs: new Map(lines.map(programOf)), refusal: undefined };
    } catch (error) {
      return { programs: new Map(), refusal: String((error as { stderr?: unknown }).stderr) };
    }
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function programOf(line: string): [string, Uint8Array] {
  const [name = '', code = ''] = line.split(' ');
  return [name, new Uint8Array(Buffer.from(code, 'hex'))];
}
