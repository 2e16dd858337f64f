import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const HEADER_BYTES = 24;

/**
 * The split BTF of a kernel module made of C, as a kernel's build makes it: clang writes DWARF, pahole encodes what the kernel
 * itself does not have.
 */
export function moduleBtf(source: string, kernel: Uint8Array): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'bpfleet-module-'));
  try {
    writeFileSync(join(folder, 'module.c'), source);
    writeFileSync(join(folder, 'kernel.btf'), kernel);
    const options = ['-target', 'aarch64-linux-gnu', '-g', '-O0', '-w', '-c', 'module.c', '-o', 'module.o'];
    execFileSync('clang', options, { cwd: folder, stdio: 'pipe' });
    const encode = ['--btf_base=kernel.btf', '--btf_encode_detached=module.btf', 'module.o'];
    execFileSync('pahole', encode, { cwd: folder, stdio: 'pipe' });
    return new Uint8Array(readFileSync(join(folder, 'module.btf')));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A kernel and a module as one: ids and strings of a split BTF go on where its base ends. */
export function joined(kernel: Uint8Array, module: Uint8Array): Uint8Array {
  const parts = [kernel, module].map((bytes) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const [typeStart = 0, typeBytes = 0, stringStart = 0, stringBytes = 0] = [8, 12, 16, 20].map((at) =>
      view.getUint32(at, true),
    );
    const start = view.getUint32(4, true);
    return {
      types: bytes.subarray(start + typeStart, start + typeStart + typeBytes),
      strings: bytes.subarray(start + stringStart, start + stringStart + stringBytes),
    };
  });
  const types = Buffer.concat(parts.map((part) => part.types));
  const strings = Buffer.concat(parts.map((part) => part.strings));
  const header = new DataView(new ArrayBuffer(HEADER_BYTES));
  const words = [0xeb9f | (1 << 16), HEADER_BYTES, 0, types.length, types.length, strings.length];
  words.forEach((word, index) => header.setUint32(index * 4, word, true));
  return new Uint8Array(Buffer.concat([Buffer.from(header.buffer), types, strings]));
}
