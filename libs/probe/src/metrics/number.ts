import type { ArrayElement, Column, Layout } from '@bpfleet/btf';
import { columnReader } from '@bpfleet/btf';

/** Reads a number at a byte offset; above 2^53 the nearest double. */
export type NumberReader = (view: DataView, at: number) => number;

/** Maps are read at every interval, slot by slot and CPU by CPU: no bigint is made for any of them. */
export function integerReader(bytes: number, signed: boolean, littleEndian: boolean): NumberReader | undefined {
  switch (bytes) {
    case 1:
      return signed ? (view, at) => view.getInt8(at) : (view, at) => view.getUint8(at);
    case 2:
      return signed ? (view, at) => view.getInt16(at, littleEndian) : (view, at) => view.getUint16(at, littleEndian);
    case 4:
      return signed ? (view, at) => view.getInt32(at, littleEndian) : (view, at) => view.getUint32(at, littleEndian);
    case 8: {
      const [high, low] = littleEndian ? [4, 0] : [0, 4];
      return signed
        ? (view, at) => view.getInt32(at + high, littleEndian) * 2 ** 32 + view.getUint32(at + low, littleEndian)
        : (view, at) => view.getUint32(at + high, littleEndian) * 2 ** 32 + view.getUint32(at + low, littleEndian);
    }
    default:
      return undefined;
  }
}

/** Reads a numeric column of a value that begins at an offset; undefined for columns that are not numbers. */
export function columnNumber(column: Column, layout: Layout): NumberReader | undefined {
  const at = Math.floor(column.offsetBits / 8);
  if (column.kind === 'float') {
    return column.bits === 32
      ? (view, offset) => view.getFloat32(offset + at, layout.littleEndian)
      : (view, offset) => view.getFloat64(offset + at, layout.littleEndian);
  }
  if (column.kind !== 'int' && column.kind !== 'uint' && column.kind !== 'bool') return undefined;
  if (column.bitfield) {
    const read = columnReader(layout, column);
    return (view, offset) => Number(read(view, offset, layout.bytesMin));
  }
  const read = integerReader(column.bits / 8, column.kind === 'int', layout.littleEndian);
  return read === undefined ? undefined : (view, offset) => read(view, offset + at);
}

/** Reads one element of an array at its own offset. */
export function elementNumber(element: ArrayElement, littleEndian: boolean): NumberReader | undefined {
  if (element.kind === 'bool') return undefined;
  if (element.kind !== 'float') return integerReader(element.bytes, element.kind === 'int', littleEndian);
  return element.bytes === 4
    ? (view, at) => view.getFloat32(at, littleEndian)
    : (view, at) => view.getFloat64(at, littleEndian);
}
