import type { Readable } from 'node:stream';
import { CliError } from '../exit-code.js';

export interface TarEntry {
  readonly name: string;
  readonly bytes: number;
  /** The content, to be read to its end or not at all before the next entry is asked for. */
  content(): AsyncGenerator<Buffer>;
}

const BLOCK = 512;
/** Of a long name or of extended headers. */
const NAME_BYTES_MAX = 64 * 1024;

/**
 * The regular files of a tar archive, in order, without holding any of them. Long names are read as GNU tar and pax write
 * them (POSIX.1-2001, "pax Interchange Format").
 * @throws CliError KERNEL_FILE when it is damaged
 */
export async function* tarEntries(archive: Readable): AsyncGenerator<TarEntry> {
  const input = new BlockReader(archive);
  let longName: string | undefined;
  for (;;) {
    const header = await input.take(BLOCK);
    if (header.length === 0 || header.every((byte) => byte === 0)) return;
    if (header.length < BLOCK) throw damaged();
    const bytes = sizeOf(header);
    const type = String.fromCharCode(header[156] ?? 0);
    if (type === 'L' || type === 'x') {
      if (bytes > NAME_BYTES_MAX) throw damaged();
      const text = (await input.take(padded(bytes))).subarray(0, bytes);
      longName = type === 'L' ? textOf(text) : (paxPath(text) ?? longName);
      continue;
    }
    const name = longName ?? nameOf(header);
    longName = undefined;
    let left = padded(bytes);
    if (type === '0' || type === '\0') {
      yield {
        name,
        bytes,
        async *content() {
          for (let rest = bytes; rest > 0;) {
            const part = await input.some(rest);
            if (part.length === 0) throw damaged();
            rest -= part.length;
            left -= part.length;
            yield part;
          }
        },
      };
    }
    while (left > 0) {
      const part = await input.some(left);
      if (part.length === 0) throw damaged();
      left -= part.length;
    }
  }
}

function damaged(): CliError {
  return new CliError('KERNEL_FILE', 'the package is damaged: the archive in it ends early, or is none');
}

function padded(bytes: number): number {
  return Math.ceil(bytes / BLOCK) * BLOCK;
}

/** Octal digits; above 8 GiB a big-endian number behind a set top bit. */
function sizeOf(header: Buffer): number {
  const field = header.subarray(124, 136);
  const size =
    (field[0] ?? 0) >= 0x80
      ? field.subarray(4).reduce((sum, byte) => sum * 256 + byte, 0)
      : Number.parseInt(textOf(field).trim() || '0', 8);
  if (Number.isSafeInteger(size) && size >= 0) return size;
  throw damaged();
}

function nameOf(header: Buffer): string {
  const prefix = textOf(header.subarray(345, 500));
  const name = textOf(header.subarray(0, 100));
  return prefix === '' || header.toString('latin1', 257, 262) !== 'ustar' ? name : `${prefix}/${name}`;
}

function textOf(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? field.length : end);
}

/** Records of `<length> <key>=<value>\n`. */
function paxPath(records: Buffer): string | undefined {
  return /(?:^|\n)\d+ path=([^\n]*)\n/.exec(records.toString('utf8'))?.[1];
}

/** Bytes of a stream in the sizes that are asked for. */
class BlockReader {
  private readonly chunks: AsyncIterator<Buffer>;
  private held: Buffer = Buffer.alloc(0);

  constructor(stream: Readable) {
    this.chunks = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  }

  /** At most `bytes`, and none only at the end. */
  async some(bytes: number): Promise<Buffer> {
    if (this.held.length === 0) {
      const next = await this.chunks.next();
      if (next.done) return Buffer.alloc(0);
      this.held = next.value;
      if (this.held.length === 0) return this.some(bytes);
    }
    const part = this.held.subarray(0, bytes);
    this.held = this.held.subarray(part.length);
    return part;
  }

  /** Exactly `bytes`, or what there is until the end. */
  async take(bytes: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let left = bytes; left > 0;) {
      const part = await this.some(left);
      if (part.length === 0) break;
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts);
  }
}
