import { WireError } from './errors.js';
import type { Section, BatchHeader } from './batch.js';

/**
 * Ring records between node-libbpf's drain layout ([u32 length][bytes][pad to 8]) and a batch's sections. Records of one
 * size (the common case) become one shuffled section; mixed sizes become lengths and bytes.
 */
export function ringSections(drained: Uint8Array): { sections: Section[]; count: number } {
  const spans = recordSpans(drained);
  const first = spans[0]?.length ?? 0;
  const uniform = first > 0 && first <= 65_536 && spans.every((span) => span.length === first);
  const bytes = Buffer.concat(spans);
  if (uniform) return { sections: [{ stride: first, bytes }], count: spans.length };
  const lengths = Buffer.alloc(spans.length * 4);
  spans.forEach((span, index) => lengths.writeUInt32LE(span.length, index * 4));
  return {
    sections: [
      { stride: 4, bytes: lengths },
      { stride: 1, bytes },
    ],
    count: spans.length,
  };
}

function recordSpans(drained: Uint8Array): Uint8Array[] {
  const view = new DataView(drained.buffer, drained.byteOffset, drained.byteLength);
  const spans: Uint8Array[] = [];
  for (let at = 0; at + 4 <= drained.length;) {
    const length = view.getUint32(at, true);
    if (at + 4 + length > drained.length) throw new WireError('WIRE_BATCH_BODY', 'a drained record is cut short');
    spans.push(drained.subarray(at + 4, at + 4 + length));
    at += (4 + length + 7) & ~7;
  }
  return spans;
}

/** Offset and length of every record of a decoded `ring` batch, over the bytes that hold the records. */
export function ringRecords(
  header: BatchHeader,
  sections: readonly Uint8Array[],
): { bytes: Uint8Array; offsets: Uint32Array; lengths: Uint32Array } {
  const mixed = header.sections.length === 2;
  const bytes = (mixed ? sections[1] : sections[0]) ?? new Uint8Array();
  const items = header.sections[0]?.items ?? 0;
  if (items !== header.count) {
    throw new WireError('WIRE_BATCH_BODY', `${header.count} records are stated, ${items} are there`);
  }
  const offsets = new Uint32Array(items);
  const lengths = new Uint32Array(items);
  const stride = header.sections[0]?.stride ?? 0;
  const table = mixed ? lengthTable(sections[0]) : undefined;
  let at = 0;
  for (let index = 0; index < items; index++) {
    const length = table ? table.getUint32(index * 4, true) : stride;
    offsets[index] = at;
    lengths[index] = length;
    at += length;
  }
  if (at !== bytes.length)
    throw new WireError('WIRE_BATCH_BODY', `records take ${at} bytes, ${bytes.length} are there`);
  return { bytes, offsets, lengths };
}

function lengthTable(section: Uint8Array | undefined): DataView {
  const bytes = section ?? new Uint8Array();
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
