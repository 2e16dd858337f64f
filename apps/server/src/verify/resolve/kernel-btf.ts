import { BTF_BYTES_MAX } from '@bpfleet/api';
import { BtfError, parseBtf, type Btf } from '@bpfleet/btf';

const TYPES_MAX = 1_000_000;
const STRING_START_AT = 16;
const HEADER_LENGTH_AT = 4;

/** Why bytes are not the types of a kernel: one sentence. */
export class KernelBtfError extends Error {
  override readonly name = 'KernelBtfError';
  readonly code = 'BTF_INVALID';
}

export interface KernelTypes {
  readonly btf: Btf;
  readonly pointerBits: 32 | 64;
}

/**
 * The BTF of a whole kernel, from anybody: bounded, and looked at far enough to know that it is one. What a device or a
 * person sent may be made to do harm: names that are no ASCII would each be kept as a text of their own, so they are refused.
 * @throws KernelBtfError
 */
export function readKernelBtf(bytes: Uint8Array): KernelTypes {
  if (bytes.length > BTF_BYTES_MAX) {
    throw new KernelBtfError(`it has ${bytes.length} bytes; at most ${BTF_BYTES_MAX} are read`);
  }
  const btf = parsed(bytes);
  if (btf.typeCount > TYPES_MAX)
    throw new KernelBtfError(`it has ${btf.typeCount} types; at most ${TYPES_MAX} are read`);
  if (!btf.littleEndian) throw new KernelBtfError('it is of a big-endian kernel, which no agent runs on');
  if (hasStrangeNames(bytes)) throw new KernelBtfError('its names are not plain ASCII, as those of every kernel are');
  return checked(() => {
    const task = btf.findByName('struct', 'task_struct');
    const long = btf.longType();
    if (!task || task.members.length === 0) {
      throw new KernelBtfError(
        'it has no struct task_struct, so it is not of a kernel (of a module or a program, perhaps)',
      );
    }
    if (!long) throw new KernelBtfError('it has no type long, by which the size of its pointers would be known');
    return { btf, pointerBits: long.bytes === 4 ? 32 : 64 };
  });
}

function parsed(bytes: Uint8Array): Btf {
  return checked(() => parseBtf(bytes));
}

function checked<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof BtfError) throw new KernelBtfError(`it is damaged, or no BTF: ${error.message}`);
    throw error;
  }
}

/** The header was checked by parseBtf. */
function hasStrangeNames(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = view.getUint32(HEADER_LENGTH_AT, true) + view.getUint32(STRING_START_AT, true);
  const end = start + view.getUint32(STRING_START_AT + 4, true);
  for (let at = start; at < end; at++) if ((bytes[at] as number) >= 0x80) return true;
  return false;
}
