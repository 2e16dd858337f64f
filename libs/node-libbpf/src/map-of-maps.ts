import { is32Bit } from './capabilities.js';
import type { Codec } from './codec.js';
import { encoded, requireCodec, toBytes, u32Codec } from './codec.js';
import { argumentError, succeed, unsupportedError } from './errors.js';
import { errnoName } from './errno.js';
import { BpfMap } from './map.js';
import { native } from './native.js';
import { kernelMachine } from './kernel-machine.js';

/**
 * A hash or array whose values are maps (≥ 4.12). User space writes descriptors and reads ids; this hides both. Throws
 * BPF_UNSUPPORTED for an array on a 32-bit kernel (to 6.18 at least): it writes slots 4 bytes apart (bpf_fd_array_map_update_elem())
 * and finds them 8 bytes apart (array_map_lookup_elem()), so that slot 1 is what was set as slot 2, for programs too.
 */
export class MapOfMaps<Key = Buffer> {
  readonly map: BpfMap;
  readonly #key: Codec<Key> | undefined;

  /** Without a codec (`map.keyCodec()`), keys are their bytes. */
  constructor(map: BpfMap, key?: Codec<Key>) {
    const fits = map instanceof BpfMap && ['array_of_maps', 'hash_of_maps'].includes(map.type);
    if (!fits) throw argumentError('open a map of maps', 'expected a BpfMap of type array_of_maps or hash_of_maps');
    if (map.type === 'array_of_maps' && is32Bit(kernelMachine())) {
      const advice = '32-bit kernels read other slots of it than are written: use a hash_of_maps';
      throw unsupportedError(`open ${map.name} as an array of maps`, advice);
    }
    this.map = map;
    this.#key = key && requireCodec(`view ${map.name}`, 'key', key, map.keyBytes);
  }

  /** The inner map must be like the one that the outer was made with. It lives on in the outer when closed. */
  set(key: Key, inner: BpfMap): void {
    if (!(inner instanceof BpfMap)) throw argumentError(`set in ${this.map.name}`, 'expected a BpfMap');
    this.map.update(toBytes(this.#key, key), encoded(u32Codec, inner.fd));
  }

  /** A new handle of the inner map, to be closed by the caller (needs CAP_SYS_ADMIN); undefined when there is none. */
  get(key: Key): BpfMap | undefined {
    const id = this.map.lookup(toBytes(this.#key, key));
    if (id === undefined) return undefined;
    const operation = `open the inner map of ${this.map.name}`;
    const handle = native.openById('map', u32Codec.decode(id, 0));
    // Replaced between the two calls.
    if (typeof handle === 'number' && errnoName(-handle) === 'ENOENT') return undefined;
    return new BpfMap(succeed('BPF_MAP', operation, () => handle, { does: 'open_by_id' }));
  }

  delete(key: Key): boolean {
    return this.map.delete(toBytes(this.#key, key));
  }
}
