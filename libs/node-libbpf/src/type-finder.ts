import { closeSync, openSync, readSync } from 'node:fs';

const CHUNK_BYTES = 128 * 1024;
const KERNEL_BTF = '/sys/kernel/btf/vmlinux';

/**
 * @internal Whether the kernel's types hold a name, which stands in their strings between two NULs; undefined without BTF. The
 * file has megabytes and is asked about twice at the start of a small agent, so it is read in pieces and not kept.
 */
export function typeFinder(path = KERNEL_BTF): (name: string) => boolean | undefined {
  return (name) => {
    let file: number;
    try {
      file = openSync(path, 'r');
    } catch {
      return undefined;
    }
    try {
      return holds(file, Buffer.from(`\0${name}\0`, 'latin1'));
    } catch {
      return undefined;
    } finally {
      closeSync(file);
    }
  };
}

function holds(file: number, wanted: Buffer): boolean {
  const keep = wanted.length - 1;
  const chunk = Buffer.alloc(keep + CHUNK_BYTES);
  let kept = 0;
  for (;;) {
    const read = readSync(file, chunk, kept, CHUNK_BYTES, null);
    if (read === 0) return false;
    const filled = kept + read;
    if (chunk.subarray(0, filled).includes(wanted)) return true;
    // What may be the beginning of the name goes on in the next piece.
    kept = Math.min(keep, filled);
    chunk.copyWithin(0, filled - kept, filled);
  }
}
