import type { Btf, ElfFile } from '@bpfleet/btf';
import { LibbpfError } from './errors.js';
import { declaredBytes } from './map-declaration.js';

/** What libbpf gives the kernel when it fills a slot: an index for the key and a descriptor for the value, both on its stack. */
export const SLOT_BYTES = 4;

/**
 * Refuses a map whose slots are filled in the source (`.values = { … }`) and whose keys or values are not of the size of a slot's:
 * the kernel would copy the map's sizes from the 4 bytes that libbpf gives it (init_map_in_map_slots of libbpf 1.7 still does).
 * The kernel itself refuses values of another size, but the map's type may be changed before it sees it.
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
      const sizes = { key: declaredBytes(btf, definition, 'key'), value: declaredBytes(btf, definition, 'value') };
      // Of the values of a map of maps nothing need be said.
      const isFit = sizes.key === SLOT_BYTES && (sizes.value ?? SLOT_BYTES) === SLOT_BYTES;
      if (isFit) continue;
      const entries = `keys of ${sizes.key ?? 'no'} and values of ${sizes.value ?? SLOT_BYTES} bytes`;
      const detail = `map ${name} has filled slots, with ${entries}: libbpf fills them by ${SLOT_BYTES} bytes each`;
      throw new LibbpfError('BPF_OPEN', 'open object', 0, detail);
    }
  }
}
