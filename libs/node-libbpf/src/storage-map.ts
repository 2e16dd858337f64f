import { closeSync, openSync } from 'node:fs';
import { requireInteger, requireText } from './arguments.js';
import type { Codec } from './codec.js';
import { fromBytes, requireCodec, toBytes, u32Codec } from './codec.js';
import { argumentError, LibbpfError, succeed } from './errors.js';
import { BpfMap } from './map.js';
import { native } from './native.js';

/** Whose storage: a process (task), a socket's descriptor (sk), a file (inode) or a cgroup folder (cgrp). */
export type StorageOwner = { pid: number } | { fd: number } | { path: string };

const ownersByType: Record<string, string> = {
  task_storage: 'pid',
  sk_storage: 'fd',
  inode_storage: 'path',
  cgrp_storage: 'path',
};

/**
 * Storage that hangs on a kernel object and goes with it: sk (≥ 5.2), inode (≥ 5.10), task (≥ 5.11), cgroup (≥ 6.2). The
 * kernel wants a descriptor of the owner as key; this opens and closes it.
 */
export class StorageMap<Value = Buffer> {
  readonly map: BpfMap;
  readonly #owner: string;
  readonly #value: Codec<Value> | undefined;

  /** Without a codec (`map.valueCodec()`), values are their bytes. */
  constructor(map: BpfMap, value?: Codec<Value>) {
    const owner = map instanceof BpfMap ? ownersByType[map.type] : undefined;
    if (owner === undefined)
      throw argumentError('open a storage map', `expected ${Object.keys(ownersByType).join(', ')}`);
    this.map = map;
    this.#owner = owner;
    this.#value = value && requireCodec(`view ${map.name}`, 'value', value, map.valueBufferBytes);
  }

  get(owner: StorageOwner): Value | undefined {
    return fromBytes(
      this.#value,
      this.#withKey(owner, (key) => this.map.lookup(key)),
    );
  }

  /** Flags as for BpfMap.update. */
  set(owner: StorageOwner, value: Value, flags = 0): void {
    const bytes = toBytes(this.#value, value);
    this.#withKey(owner, (key) => this.map.update(key, bytes, flags));
  }

  delete(owner: StorageOwner): boolean {
    return this.#withKey(owner, (key) => this.map.delete(key));
  }

  #withKey<Result>(owner: StorageOwner, use: (key: Buffer) => Result): Result {
    const operation = `find the owner in ${this.map.name}`;
    const key = Buffer.alloc(4);
    const useFd = (fd: number) => {
      u32Codec.encode(fd, key, 0);
      return use(key);
    };
    if (this.#owner === 'fd' && 'fd' in owner) {
      return useFd(requireInteger(operation, 'fd', owner.fd, 0, 0x7fff_ffff));
    }
    if (this.#owner === 'pid' && 'pid' in owner) {
      const pid = requireInteger(operation, 'pid', owner.pid, 1, 0x7fff_ffff);
      const process = succeed('BPF_MAP', operation, () => native.openPidfd(pid));
      try {
        return useFd(process.fd());
      } finally {
        process.close();
      }
    }
    if (this.#owner === 'path' && 'path' in owner) {
      const fd = openOwner(operation, requireText(operation, 'path', owner.path));
      try {
        return useFd(fd);
      } finally {
        closeSync(fd);
      }
    }
    throw argumentError(operation, `a ${this.map.type} map belongs to a ${this.#owner}`);
  }
}

function openOwner(operation: string, path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    const cause = error as NodeJS.ErrnoException;
    throw new LibbpfError('BPF_MAP', operation, Math.abs(cause.errno ?? 0), path);
  }
}
