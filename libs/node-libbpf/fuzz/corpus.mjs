// The well-formed things that the fuzz run starts from: objects, a kernel's BTF, a program with symbols and a static tracepoint.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readSections, rebuild } from './elf-image.mjs';
import { survey, surveyBtf, surveyProgram } from './fields.mjs';
import { Mutator } from './mutate.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const architectures = { x64: 'x86', arm64: 'arm64', arm: 'arm' };

function sources() {
  const inFolder = (folder) =>
    readdirSync(folder)
      .filter((file) => file.endsWith('.bpf.c'))
      .map((file) => join(folder, file));
  const probes = join(here, '../../probes');
  const folders = readdirSync(probes, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [here, join(here, '../fixtures'), ...folders.map(({ name }) => join(probes, name))].flatMap(inFolder).sort();
}

const isOlder = (output, input) =>
  (statSync(output, { throwIfNoEntry: false })?.mtimeMs ?? 0) < statSync(input).mtimeMs;

/** Compiles what is out of date into `folder`; throws what the compiler says. */
export function compileCorpus(folder) {
  mkdirSync(folder, { recursive: true });
  const header = join(folder, 'vmlinux.h');
  if (isOlder(header, '/proc/self/exe') || isOlder(header, '/sys/kernel/btf/vmlinux')) {
    const bpftool = ['-c', 'PATH="$PATH:/usr/sbin" exec bpftool btf dump file /sys/kernel/btf/vmlinux format c'];
    writeFileSync(header, execFileSync('sh', bpftool, { maxBuffer: 1 << 28 }));
  }
  const machine = execFileSync('cc', ['-dumpmachine'], { encoding: 'utf8' }).trim();
  const flags = ['-target', 'bpf', '-O2', '-g', '-w', `-D__TARGET_ARCH_${architectures[process.arch] ?? process.arch}`];
  const includes = ['-I', folder, '-I', join(here, '../../probes/include'), '-I', `/usr/include/${machine}`];
  for (const source of sources()) {
    const object = join(folder, basename(source).replace('.c', '.o'));
    if (isOlder(object, source)) execFileSync('clang', [...flags, ...includes, '-c', source, '-o', object]);
  }
  const program = join(here, '../fixtures/usdt_target.c');
  if (isOlder(join(folder, 'program'), program)) {
    execFileSync('cc', ['-O1', '-g0', '-Wl,-z,separate-code', program, '-o', join(folder, 'program')]);
  }
  writeFileSync(join(folder, 'kallsyms'), '0000000000000010 T init_task_nowhere\n0000000000000020 D bpf_prog_active\n');
  const kernel = readFileSync(join(folder, 'kernel.bpf.o'));
  const { offset, size } = readSections(kernel).find(({ name }) => name === '.BTF');
  writeFileSync(join(folder, 'kernel.btf'), kernel.subarray(offset, offset + size));
}

const kinds = {
  object: { prepare: rebuild, look: survey },
  btf: { prepare: (bytes) => bytes, look: surveyBtf },
  program: { prepare: (bytes) => bytes, look: surveyProgram },
};

/** Bases by what is done with them: `object` is opened and loaded, `btf` replaces the kernel's, `program` is attached to. */
export class Corpus {
  #folder;
  #names;
  #bases = new Map();

  constructor(folder) {
    this.#folder = folder;
    const objects = readdirSync(folder).filter((file) => file.endsWith('.bpf.o') && file !== 'kernel.bpf.o');
    this.#names = { object: objects.sort(), btf: ['kernel.btf'], program: ['program'] };
  }

  pick(random, what) {
    // The object that has everything is half of the bases.
    return this.named(what === 'object' && random.chance(0.5) ? 'everything.bpf.o' : random.pick(this.#names[what]));
  }

  named(name) {
    const known = this.#bases.get(name);
    if (known !== undefined) return known;
    const { prepare, look } = kinds[Object.keys(kinds).find((kind) => this.#names[kind].includes(name))];
    const bytes = prepare(readFileSync(join(this.#folder, name)));
    const base = { name, bytes, mutator: new Mutator(bytes, look(bytes)) };
    this.#bases.set(name, base);
    return base;
  }
}
