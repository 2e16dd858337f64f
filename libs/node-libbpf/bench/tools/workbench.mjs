// What a bench needs around it: its BPF object and its C baseline compiled beside it, a bpffs folder to share maps through,
// and medians. Everything lives in temporary folders that go with close().
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export class Workbench {
  #folder = mkdtempSync(join(tmpdir(), 'node-libbpf-bench-'));
  #pins = mkdtempPins();
  #children = [];

  /** The bytes of NAME.bpf.c, compiled; NAME is relative to this package's bench folder. */
  compileBpf(name) {
    const object = join(this.#folder, `${basename(name)}.bpf.o`);
    const triplet = execFileSync('cc', ['-dumpmachine'], { encoding: 'utf8' }).trim();
    const headers = ['-I', `/usr/include/${triplet}`];
    execFileSync('clang', ['-target', 'bpf', '-O2', '-g', ...headers, '-c', source(`${name}.bpf.c`), '-o', object]);
    return readFileSync(object);
  }

  pinPath(name) {
    return join(this.#pins, name);
  }

  /** Starts NAME.c with one argument; each call of the result is one measured pass: { count, ns }. */
  startBaseline(name, argument) {
    const binary = join(this.#folder, name);
    execFileSync('cc', ['-O2', '-Wall', source(`${name}.c`), '-o', binary, '-lbpf', '-lelf', '-lz']);
    const child = spawn(binary, [argument], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#children.push(child);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return async () => {
      child.stdin.write('go\n');
      const { value, done } = await lines.next();
      if (done) throw new Error(`the baseline ${name} ended early`);
      const [count, ns] = value.split(' ').map(Number);
      return { count, ns };
    };
  }

  close() {
    for (const child of this.#children) child.stdin.end();
    rmSync(this.#pins, { recursive: true, force: true });
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function source(file) {
  return fileURLToPath(new URL(`../${file}`, import.meta.url));
}

function mkdtempPins() {
  const mounted = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .find((fields) => fields[2] === 'bpf')?.[1];
  if (mounted === undefined) execFileSync('mount', ['-t', 'bpf', 'bpf', '/sys/fs/bpf']);
  const folder = join(mounted ?? '/sys/fs/bpf', `node-libbpf-bench-${process.pid}`);
  mkdirSync(folder, { mode: 0o700 });
  return folder;
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
