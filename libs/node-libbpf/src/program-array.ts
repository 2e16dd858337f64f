import { requireInteger } from './arguments.js';
import { encoded, u32Codec } from './codec.js';
import { argumentError } from './errors.js';
import { BpfMap } from './map.js';
import { Program } from './program.js';

/** A BPF_MAP_TYPE_PROG_ARRAY: where tail calls jump. Emptied by the kernel when its last user-space holder is gone. */
export class ProgramArray {
  readonly map: BpfMap;

  constructor(map: BpfMap) {
    const fits = map instanceof BpfMap && map.type === 'prog_array';
    if (!fits) throw argumentError('open a program array', 'expected a BpfMap of type prog_array');
    this.map = map;
  }

  set(index: number, program: Program): void {
    const operation = `set in ${this.map.name}`;
    if (!(program instanceof Program)) throw argumentError(operation, 'expected a Program');
    this.map.update(this.#key(operation, index), encoded(u32Codec, program.fd));
  }

  /** The id of the program; undefined when there is none. */
  get(index: number): number | undefined {
    const id = this.map.lookup(this.#key(`get from ${this.map.name}`, index));
    return id === undefined ? undefined : u32Codec.decode(id, 0);
  }

  delete(index: number): boolean {
    return this.map.delete(this.#key(`delete from ${this.map.name}`, index));
  }

  #key(operation: string, index: number): Buffer {
    return encoded(u32Codec, requireInteger(operation, 'index', index, 0, this.map.maxEntries - 1));
  }
}
