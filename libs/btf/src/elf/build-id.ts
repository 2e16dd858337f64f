const NOTE_HEADER_BYTES = 12;
const NOTE_TYPE_GNU_BUILD_ID = 3;
/** Linkers write 16 or 20 bytes (MD5, SHA-1); `--build-id=0x…` allows others. */
const BUILD_ID_BYTES_MAX = 32;

/**
 * The GNU build id among ELF notes (a section of type SHT_NOTE, or /sys/kernel/notes) as hexadecimal digits; undefined where
 * there is none, or where the notes are cut short. A note is u32 name size, u32 description size, u32 type, and then both,
 * each padded to 4 bytes (gabi, "Note Section").
 */
export function gnuBuildId(notes: Uint8Array, littleEndian = true): string | undefined {
  const view = new DataView(notes.buffer, notes.byteOffset, notes.byteLength);
  for (let at = 0; at + NOTE_HEADER_BYTES <= view.byteLength;) {
    const nameBytes = view.getUint32(at, littleEndian);
    const descriptionBytes = view.getUint32(at + 4, littleEndian);
    const type = view.getUint32(at + 8, littleEndian);
    const nameAt = at + NOTE_HEADER_BYTES;
    const descriptionAt = nameAt + padded(nameBytes);
    if (descriptionAt + descriptionBytes > view.byteLength) return undefined;
    if (type === NOTE_TYPE_GNU_BUILD_ID && isGnu(notes.subarray(nameAt, nameAt + nameBytes))) {
      if (descriptionBytes === 0 || descriptionBytes > BUILD_ID_BYTES_MAX) return undefined;
      return hexOf(notes.subarray(descriptionAt, descriptionAt + descriptionBytes));
    }
    at = descriptionAt + padded(descriptionBytes);
  }
  return undefined;
}

function padded(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}

function isGnu(name: Uint8Array): boolean {
  return name.length === 4 && name[0] === 0x47 && name[1] === 0x4e && name[2] === 0x55 && name[3] === 0;
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
