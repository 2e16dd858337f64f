import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A BPF object with BTF, from C. */
export function compileBpf(source: string): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'bpfleet-agent-c-'));
  try {
    writeFileSync(join(folder, 'probe.bpf.c'), source);
    const flags = ['-g', '-O2', '-target', 'bpf', '-D__TARGET_ARCH_x86', '-I/usr/include/x86_64-linux-gnu'];
    execFileSync('clang', [...flags, '-c', 'probe.bpf.c', '-o', 'probe.bpf.o'], { cwd: folder });
    return readFileSync(join(folder, 'probe.bpf.o'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
