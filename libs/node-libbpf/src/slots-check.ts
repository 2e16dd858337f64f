import type { Btf, ElfFile } from '@bpfleet/btf';
import { LibbpfError } from './errors.js';
import { declaredKeyBytes } from './map-declaration.js';

/** What libbpf gives the kernel for a key when it fills a slot: an index on its stack. */
export const SLOT_KEY_BYTES = 4;

/**
 * Refuses a map whose slots are filled in the source (`.values = { … }`) and whose keys are not indexes of 4 bytes: the kernel would
 * copy a key of the map's size from the 4 bytes that libbpf gives it (init_map_in_map_slots of libbpf 1.7 still does).
 * @throws LibbpfError BPF_OPEN
 */
export function checkSlots(elf: ElfFile, btf: Btf): void {
  const maps = elf.section('.maps');
  if (maps === undefined) return;
  const slots = elf.relocationsOf(maps).map(({ offset }) => offset);
  if (slots.length === 0) return;
  for (const section of btf.types()) {
    if (section.kind !== 'datasec' || section.name !== '.maps') continue;
    for (const { typeId, offset, bytes } of section.variables) {
      const { name } = btf.typeById(typeId);
      const definition = btf.resolve(typeId);
      // libbpf takes the place from the symbol only where the compiler left the section without a size.
      const starts = [offset, ...elf.symbols.filter((one) => one.name === name).map(({ value }) => value)];
      const isFilled = starts.some((start) => slots.some((slot) => slot >= start && slot < start + bytes));
      if (!isFilled || definition.kind !== 'struct') continue;
      const keyBytes = declaredKeyBytes(btf, definition);
      if (keyBytes !== SLOT_KEY_BYTES) {
        const keys = keyBytes === undefined ? 'keys of no size' : `keys of ${keyBytes} bytes`;
        const detail = `map ${name} has filled slots and ${keys}: libbpf fills them by indexes of ${SLOT_KEY_BYTES} bytes`;
        throw new LibbpfError('BPF_OPEN', 'open object', 0, detail);
      }
    }
  }
}
