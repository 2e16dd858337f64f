import { spawn } from 'node:child_process';
import { gunzipSync } from 'node:zlib';
import { CliError } from '../exit-code.js';

/** Programs that unpack what Node cannot, and the packages that have them. */
const UNPACKERS: Readonly<Record<string, { readonly program: string; readonly from: string }>> = {
  '.xz': { program: 'xz', from: 'xz-utils' },
  '.zst': { program: 'zstd', from: 'zstd' },
};

/** Which program unpacks what ends so. @throws CliError KERNEL_FILE for what nothing here unpacks */
export function unpackerOf(suffix: string): { readonly program: string; readonly from: string } {
  const unpacker = UNPACKERS[suffix];
  if (unpacker) return unpacker;
  throw new CliError('KERNEL_FILE', `the package is packed as ${suffix}, which nothing here unpacks`);
}

/**
 * A small file, unpacked by its suffix, of which at most `bytesMax` are ever held.
 * @throws CliError KERNEL_FILE when there is more or it is damaged, TOOL_MISSING
 */
export async function unpackBytes(packed: Buffer, suffix: string, bytesMax: number, name: string): Promise<Buffer> {
  if (suffix === '') return packed;
  const damaged = (): CliError =>
    new CliError('KERNEL_FILE', `${name} is damaged, or has more than ${bytesMax} bytes when it is unpacked`);
  if (suffix !== '.gz') return unpackWith(packed, suffix, bytesMax, damaged);
  try {
    return gunzipSync(packed, { maxOutputLength: bytesMax });
  } catch {
    throw damaged();
  }
}

function unpackWith(packed: Buffer, suffix: string, bytesMax: number, damaged: () => CliError): Promise<Buffer> {
  const { program, from } = unpackerOf(suffix);
  const child = spawn(program, ['-dcq'], { stdio: ['pipe', 'pipe', 'ignore'] });
  const parts: Buffer[] = [];
  let bytes = 0;
  return new Promise((resolve, reject) => {
    child.once('error', () =>
      reject(new CliError('TOOL_MISSING', `the kernel's modules are packed with ${program}: install ${from}`)),
    );
    child.stdout.on('data', (part: Buffer) => {
      parts.push(part);
      bytes += part.length;
      if (bytes > bytesMax) child.kill();
    });
    child.once('close', (code) =>
      code === 0 && bytes <= bytesMax ? resolve(Buffer.concat(parts)) : reject(damaged()),
    );
    // It may end before it has heard everything.
    child.stdin.on('error', () => undefined);
    child.stdin.end(packed);
  });
}
