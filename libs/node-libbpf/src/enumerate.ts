import { requireInteger } from './arguments.js';
import { errnoName } from './errno.js';
import { LibbpfError, needsOf } from './errors.js';
import type { LinkInfo } from './link-info.js';
import { decodeLinkInfo } from './link-info.js';
import type { NativeDescribed, NativeKind, ProgramInfo } from './native.js';
import { native } from './native.js';

export interface ListedProgram extends ProgramInfo {
  /** What the kernel counts as its memory: instructions before and after JIT in whole pages. */
  memoryBytes: number | undefined;
}

export interface ListedMap {
  id: number;
  /** At most 15 bytes of the name: what the kernel keeps. */
  name: string;
  type: string;
  keyBytes: number;
  valueBytes: number;
  maxEntries: number;
  /** BPF_F_* as given at creation. */
  flags: number;
  /** Memory of the map, exact from 6.4 on (kernel commit 90a5527d7686), before that an estimate from its sizes. */
  memoryBytes: number | undefined;
  /** User space can no longer write (≥ 5.2). */
  frozen: boolean | undefined;
  /** The BTF that describes keys and values; 0 when there is none. */
  btfId: number;
  btfKeyTypeId: number;
  btfValueTypeId: number;
  /** The interface that it is offloaded to; 0 for maps in memory. */
  ifindex: number;
}

export interface ListedBtf {
  id: number;
  /** `vmlinux`, a module's name, or empty for the BTF of a program (≥ 5.11). */
  name: string;
  bytes: number;
  /** Of the kernel or a module (≥ 5.11). */
  kernel: boolean;
}

export interface ListOptions {
  /** 65,536 unless told; a system with more is BPF_ENUMERATE with E2BIG. The walk… generators have no such bound. */
  entriesMax?: number;
}

const entriesMaxDefault = 65_536;

function fdinfoNumber(described: NativeDescribed, field: string): number | undefined {
  const found = new RegExp(`^${field}:\\s*(\\d+)$`, 'm').exec(described.fdinfo)?.[1];
  return found === undefined ? undefined : Number(found);
}

function enumerateError(operation: string, errno: number): LibbpfError {
  return new LibbpfError('BPF_ENUMERATE', operation, errno, '', needsOf(errno, { does: 'open_by_id' }));
}

function* walk<Entry>(kind: NativeKind, describe: (id: number) => Entry | number): Generator<Entry, void, undefined> {
  for (let id = native.nextId(kind, 0); ; id = native.nextId(kind, id)) {
    if (id < 0 && errnoName(-id) === 'ENOENT') return;
    if (id < 0) throw enumerateError(`list ${kind}s`, -id);
    const entry = describe(id);
    // One that went away between the two calls is no error, nor (EAGAIN) a link that is being made just now.
    if (typeof entry !== 'number') yield entry;
    else if (!['ENOENT', 'EAGAIN'].includes(errnoName(-entry))) throw enumerateError(`read ${kind} ${id}`, -entry);
  }
}

function collect<Entry>(kind: NativeKind, entries: Iterable<Entry>, options: ListOptions): Entry[] {
  const operation = `list ${kind}s`;
  const entriesMax = requireInteger(
    operation,
    'entriesMax',
    options.entriesMax ?? entriesMaxDefault,
    1,
    Number.MAX_SAFE_INTEGER,
  );
  const list: Entry[] = [];
  for (const entry of entries) {
    if (list.length === entriesMax) {
      throw new LibbpfError('BPF_ENUMERATE', operation, 7, `there are more than ${entriesMax}: raise entriesMax`);
    }
    list.push(entry);
  }
  return list;
}

/** Every program of the system, one at a time (≥ 4.13; needs CAP_SYS_ADMIN). Throws BPF_ENUMERATE. */
export function* walkPrograms(): Generator<ListedProgram, void, undefined> {
  yield* walk('program', (id) => {
    const found = native.describe('program', id);
    if (typeof found === 'number') return found;
    const { fdinfo, ...info } = found;
    return { ...info, memoryBytes: fdinfoNumber({ fdinfo }, 'memlock') };
  });
}

/** Every map of the system, one at a time (≥ 4.13; needs CAP_SYS_ADMIN). Throws BPF_ENUMERATE. */
export function* walkMaps(): Generator<ListedMap, void, undefined> {
  yield* walk('map', (id) => {
    const found = native.describe('map', id);
    if (typeof found === 'number') return found;
    const { fdinfo, ...info } = found;
    const frozen = fdinfoNumber({ fdinfo }, 'frozen');
    return {
      ...info,
      memoryBytes: fdinfoNumber({ fdinfo }, 'memlock'),
      frozen: frozen === undefined ? undefined : frozen !== 0,
    };
  });
}

/** Every link of the system, one at a time (≥ 5.8; needs CAP_SYS_ADMIN). Throws BPF_ENUMERATE. */
export function* walkLinks(): Generator<LinkInfo, void, undefined> {
  yield* walk('link', (id) => {
    const found = native.describe('link', id);
    return typeof found === 'number' ? found : decodeLinkInfo(found);
  });
}

/** Every BTF of the system: the kernel's, its modules', and those of programs (≥ 5.4; needs CAP_SYS_ADMIN). Throws BPF_ENUMERATE. */
export function* walkBtfs(): Generator<ListedBtf, void, undefined> {
  yield* walk('btf', (id) => {
    const found = native.describe('btf', id);
    if (typeof found === 'number') return found;
    return { id: found.id, name: found.name, bytes: found.bytes, kernel: found.kernel };
  });
}

/** walkPrograms() as a list. */
export function listPrograms(options: ListOptions = {}): ListedProgram[] {
  return collect('program', walkPrograms(), options);
}

/** walkMaps() as a list. */
export function listMaps(options: ListOptions = {}): ListedMap[] {
  return collect('map', walkMaps(), options);
}

/** walkLinks() as a list. */
export function listLinks(options: ListOptions = {}): LinkInfo[] {
  return collect('link', walkLinks(), options);
}

/** walkBtfs() as a list. */
export function listBtfs(options: ListOptions = {}): ListedBtf[] {
  return collect('btf', walkBtfs(), options);
}
